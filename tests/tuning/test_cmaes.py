import os
import pickle

import optuna
import pytest

from mhray.errors import StorageError
from mhray.tuning.cmaes import CmaEs, distribution_of


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_journal_cannot_call_anything(tmp_path):
    with pytest.raises(StorageError, match=r"asks for (posix|nt)\.mkdir, which is no part of it"):
        distribution_of(pickle.dumps(Malicious(tmp_path / "called")))
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("make", [CmaEs, optuna.samplers.CmaEsSampler])
def test_it_draws_what_optunas_own_draws(make):
    drawn = [tuple(trial.params.values()) for trial in _study(make(seed=0)).trials]
    assert drawn == [tuple(trial.params.values()) for trial in _study(CmaEs(seed=0)).trials]
    assert len(set(drawn)) == len(drawn)


def _study(sampler):
    study = optuna.create_study(sampler=sampler)
    study.optimize(
        lambda trial: trial.suggest_float("a", 0, 1) * trial.suggest_float("b", 1, 2), 25
    )
    return study
