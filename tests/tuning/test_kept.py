import pytest

from mhray.tuning.kept import KeptCheckpoints, superfluous
from mhray.tuning.shortage import most_with_checkpoints

FRONT = [{"maximize": "val/left_acc"}, {"maximize": "val/right_acc"}]
GRID = {
    "search": {"model.optimizer.lr": {"choice": [1e-3, 3e-3, 1e-2]}},
    "sampler": {"grid": {}},
}
PBT = {"scheduler": {"pbt": {"every_epochs": 2}}}


@pytest.fixture
def ended(a_record):
    """Five trials: 2 is the best, 3 was stopped with a better value than any."""
    values = (0.1, 0.4, 0.6, 0.9, 0.5)
    states = ("COMPLETE", "COMPLETE", "COMPLETE", "PRUNED", "COMPLETE")
    return [
        a_record(number, value, state=state)
        for number, (value, state) in enumerate(zip(values, states, strict=True))
    ]


@pytest.mark.parametrize(
    ("sections", "deleted"),
    [
        ({"keep_checkpoints": 1}, [1, 3, 4]),
        ({"keep_checkpoints": 2}, [1, 3]),
        ({"keep_checkpoints": 4}, [3]),
        ({"keep_checkpoints": 5}, []),
        ({"keep_checkpoints": None}, []),
        ({}, []),
        ({"keep_checkpoints": 1, **GRID}, []),
        ({"keep_checkpoints": 1, **PBT}, []),
    ],
)
def test_the_best_and_trial_0_keep_their_checkpoints(a_study, ended, sections, deleted):
    found = superfluous(a_study(**sections), ended)
    assert [record.number for record in found] == deleted


def test_a_smaller_loss_is_better_where_it_selects(a_study, ended):
    study = a_study(keep_checkpoints=1, select={"minimize": "val/acc_mean"})
    assert [record.number for record in superfluous(study, ended)] == [1, 2, 3, 4]


def test_a_pareto_front_keeps_its_checkpoints(a_study, ended):
    for record, (left, right) in zip(ended, [(1, 1), (5, 2), (3, 3), (9, 9), (1, 4)], strict=True):
        record.epochs[0].metrics.update({"val/left_acc": left, "val/right_acc": right})
    study = a_study(keep_checkpoints=1, objectives=FRONT)
    assert [record.number for record in superfluous(study, ended)] == [3]


@pytest.mark.parametrize(
    ("sections", "most"),
    [({}, 14), ({"keep_checkpoints": 1}, 5), ({"keep_checkpoints": None}, 99), (PBT, 99)],
)
def test_so_many_trials_have_checkpoints_at_a_time(a_study, sections, most):
    study = a_study(budget={"trials": 99}, **sections)
    assert most_with_checkpoints(study, 3) == most
    assert most_with_checkpoints(a_study(), 3) == 3


@pytest.fixture
def kept_of(journal_of_ended, tmp_path):
    return lambda study: KeptCheckpoints(study, journal_of_ended, lambda n: tmp_path / str(n))


def files_in(directory):
    return sorted(f"{path.parent.name}/{path.name}" for path in directory.glob("?/*"))


@pytest.fixture
def journal_of_ended(a_study, tmp_path):
    """Three trials that have ended and one that runs, each with its files."""
    from mhray.training.epoch_row import EpochRow
    from mhray.tuning.journal import Journal
    from mhray.tuning.samplers import sampler_of

    study = a_study()
    journal = Journal.open(study, tmp_path)
    for number, value in enumerate((0.1, 0.2, 0.3, 0.0)):
        journal.ask(sampler_of(study, number))
        journal.describe(number, ["a=b"], 1)
        journal.add_epoch(number, EpochRow(1, {"val/acc_mean": value}, value, 1.0, 0.0))
        (tmp_path / str(number)).mkdir()
        for name in ("last.ckpt", "best.ckpt", ".last.ckpt", "result.json"):
            (tmp_path / str(number) / name).touch()
        if number < 3:
            checkpoint = str(tmp_path / str(number) / "best.ckpt")
            journal.end(number, "COMPLETE", value=value, checkpoint=checkpoint)
    return journal


def test_the_journal_forgets_what_is_deleted_and_keeps_the_rest(
    a_study, journal_of_ended, kept_of, tmp_path
):
    kept_of(a_study(keep_checkpoints=1)).delete_superfluous()
    whole = [".last.ckpt", "best.ckpt", "last.ckpt", "result.json"]
    assert files_in(tmp_path) == [
        *(f"0/{name}" for name in whole),
        "1/result.json",
        *(f"{number}/{name}" for number in (2, 3) for name in whole),
    ]
    records = journal_of_ended.trials()
    assert [bool(record.checkpoint) for record in records] == [True, False, True, False]
    assert records[1].overrides == ("a=b",)


def test_what_a_kill_left_between_word_and_deed_is_deleted_later(
    a_study, journal_of_ended, kept_of, tmp_path
):
    journal_of_ended.forget_checkpoint(1)
    kept = kept_of(a_study(keep_checkpoints=1))
    kept.delete_superfluous()
    assert "1/last.ckpt" in files_in(tmp_path)
    kept.delete_left_over()
    assert [name for name in files_in(tmp_path) if name[0] == "1"] == ["1/result.json"]


def test_each_end_of_a_trial_deletes_what_it_leaves_behind(
    a_study, journal_of_ended, kept_of, tmp_path
):
    kept = kept_of(a_study(keep_checkpoints=1))
    journal_of_ended.end(3, "COMPLETE", value=0.0, checkpoint=str(tmp_path / "3" / "best.ckpt"))
    kept.trial_ended(journal_of_ended.trial(3))
    assert [name for name in files_in(tmp_path) if "best" in name] == ["0/best.ckpt", "2/best.ckpt"]
