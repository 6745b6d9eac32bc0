from mhray.tuning.scheduler_kinds import first_decision


def test_a_population_first_decides_when_all_stand_for_the_first_time(a_study):
    study = a_study(scheduler={"pbt": {"every_epochs": 3, "lr_factors": [0.5, 2]}})
    assert first_decision(study.scheduler) == (("scheduler", "pbt", "every_epochs"), 3)
