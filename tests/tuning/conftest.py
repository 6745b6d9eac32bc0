import pytest

from mhray.tuning.study import Study


@pytest.fixture
def a_study():
    """A study of two searched paths, with sections replaced as asked."""

    def make(**sections):
        return Study.model_validate(
            {
                "name": "s",
                "base": {"trainer.max_epochs": 9},
                "search": {
                    "model.loss_weights": {"simplex": ["left", "right"]},
                    "model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]},
                },
                "objectives": [{"maximize": "val/acc_mean"}],
                "select": {"maximize": "val/acc_mean"},
                "sampler": {"random": {"seed": 0}},
                "budget": {"trials": 3},
                **sections,
            }
        )

    return make
