import io
from dataclasses import replace

import pytest
from rich.console import Console

from mhray.errors import FailingTrialsError
from mhray.tuning.failure_rule import FailureRule
from mhray.tuning.failures import Failure


@pytest.fixture
def out():
    return io.StringIO()


@pytest.fixture
def rule(out, tmp_path):
    return FailureRule(Console(file=out, soft_wrap=True, highlight=False), tmp_path)


@pytest.fixture
def after(rule, a_record, tmp_path):
    """The rule after trials ended: a letter for a failure's reason, a dot for no failure."""

    def end(ends):
        for number, reason in enumerate(ends):
            directory = tmp_path / str(number)
            directory.mkdir()
            if reason != ".":
                Failure(reason, f"because {reason}", f"net.py:{number}", "all").write(directory)
            record = a_record(number, overrides=("lr=1",), state="FAIL")
            rule.trial_ended(replace(record, state="COMPLETE") if reason == "." else record)
        return rule

    return end


@pytest.mark.parametrize(
    ("ends", "trips"),
    [
        ("aaaa", False),
        ("aaaaa", True),
        ("aaaab", False),
        (".aaaaa", False),
        (".aaaaaa", True),
        ("a.a.a.a.a.", False),
        ("a.a.a.a.aa", True),
        ("aaaa......aa", False),
        ("ababababab", False),
    ],
)
def test_a_sweep_stops_when_its_first_trials_or_most_of_the_last_fail_alike(after, ends, trips):
    assert after(ends).has_tripped is trips


def test_a_stopped_sweep_says_why_and_what_to_do(after):
    with pytest.raises(FailingTrialsError) as error:
        after("aaaaa").refuse_to_go_on()
    assert str(error.value) == (
        "budget.trials: the first 5 trials of this start failed for the same reason, that of "
        "trial 0: because a; mend it and run the same command, which keeps what has ended and "
        "counts anew"
    )


def test_a_reason_is_told_once_in_full(after, out, tmp_path):
    after("a.ab").refuse_to_go_on()
    assert out.getvalue().splitlines() == [
        "why trial 0 failed: because a",
        "  at net.py:0",
        "  overrides: lr=1",
        f"  all of it: {tmp_path / '0' / 'failure.txt'}",
        "  trial 2 failed as trial 0 did",
        "why trial 3 failed: because b",
        "  at net.py:3",
        "  overrides: lr=1",
        f"  all of it: {tmp_path / '3' / 'failure.txt'}",
    ]
