import json
import subprocess
import sys
from pathlib import Path

import pytest

from mhray.errors import ConfigError
from mhray.models.weighting import DWA, FAMO, FixedWeighting, Uncertainty

HEADS = {"left": 4, "sum": 7}


def state_of(weighting):
    """The names of a module's state with this weighting."""
    return ["net.weight", *(f"weighting.{name}" for name in weighting.state_dict())]


@pytest.mark.parametrize("saved", [FixedWeighting, Uncertainty, DWA, FAMO])
def test_a_weighting_goes_on_from_its_own_state_only(saved):
    state = state_of(saved(HEADS))
    for weighting in (FixedWeighting, Uncertainty, DWA, FAMO):
        if weighting is saved:
            weighting(HEADS).check_saved(state)
            continue
        with pytest.raises(ConfigError) as error:
            weighting(HEADS).check_saved(state)
        assert str(error.value) == (
            f"model.weighting: the checkpoint's is no {weighting.__name__}; write the weighting "
            "that it was trained with"
        )


def test_two_ranks_have_the_weights_of_one_process_with_the_losses_of_all_samples(tmp_path):
    script = [sys.executable, Path(__file__).with_name("two_ranks.py"), tmp_path / "store"]
    printed = subprocess.run(script, capture_output=True, text=True, check=True, timeout=300)
    one, other, alone = (json.loads(line) for line in printed.stdout.splitlines())
    assert one == other
    for weights, expected in zip(one, alone, strict=True):
        assert weights == pytest.approx(expected, rel=1e-5)
