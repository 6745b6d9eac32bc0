"""The question of a study, and its answer in a few sentences.

What a searched value is worth without fresh seeds is said beside it: the best of many noisy trials
is flattered, and trial 0 is not.
"""

from collections.abc import Iterator

from mhray.tuning.confirmation import Confirmation
from mhray.tuning.page.blocks import Section, text
from mhray.tuning.page.cautions import cautions_of
from mhray.tuning.page.confirmed import verdict_of, whole
from mhray.tuning.page.material import Material
from mhray.tuning.page.wording import change_of, counted, listed, value_of
from mhray.tuning.record import BASELINE


def question(material: Material) -> Section:
    """What was asked: in the words of the study file, or else what it searches."""
    return Section(
        "Question", (text(material.question or _asked(material)), text(_scope(material)))
    )


def answer(material: Material) -> Section:
    """What was found, and how far it holds."""
    return Section("Answer", (text(*answer_sentences(material)), text(_pointer(material))))


def answer_sentences(material: Material) -> Iterator[str]:
    """The winner beside trial 0, how far that holds, and what the test split says."""
    best = material.best
    if best is None:
        yield "No trial is complete, so there is no answer yet."
        return
    verdict = verdict_of(material)
    if verdict is None:
        yield from _searched(material)
        yield from _on_test(material)
        return
    yield from whole(verdict.answer())
    yield from _confirmed_on_test(verdict.state)


def _searched(material: Material) -> Iterator[str]:
    best, metric = material.best, material.study.select.metric
    if best is None:
        return
    reached = material.validated(best)[metric]
    counts = counted(len(material.complete), "complete trial")
    if best.number == BASELINE or material.baseline is None:
        yield (
            f"None of {counts} beats trial {best.number} ({material.baseline_name}), which reaches "
            f"{value_of(metric, reached)} of {metric}."
            if best.number == BASELINE
            else f"The best of {counts} is trial {best.number}: {value_of(metric, reached)}."
        )
        return
    change = reached - material.validated(material.baseline)[metric]
    yield (
        f"The best of {counts} is trial {best.number}: {value_of(metric, reached)} of {metric}, "
        f"{change_of(metric, change)} against trial {BASELINE} ({material.baseline_name})."
    )
    yield (
        "Each was trained with one seed, so this difference has no interval, and the best of many "
        "noisy trials is flattered: it is where to look, not what to expect."
    )


def _on_test(material: Material) -> Iterator[str]:
    best, baseline = material.best, material.baseline
    metric = material.study.select.metric.replace("val/", "test/", 1)
    if best is None or metric not in best.test:
        return
    reached = value_of(metric, best.test[metric])
    if baseline is None or metric not in baseline.test or best.number == BASELINE:
        yield f"On the test split it has {reached}."
        return
    change = change_of(metric, best.test[metric] - baseline.test[metric])
    yield f"On the test split, which chose nothing, it has {reached}, {change} against trial 0."


def _confirmed_on_test(state: Confirmation) -> Iterator[str]:
    """What the test split says of the winner's median run, and of that of its rival."""
    winner, rival = state.winner, state.rival
    metric = state.study.select.metric.replace("val/", "test/", 1)
    if winner is None or metric not in (tested := state.median_run(winner).test):
        return
    reached = value_of(metric, tested[metric])
    other = state.median_run(rival).test if rival and rival != winner else {}
    if rival is None or metric not in other:
        yield f"On the test split the run with its median has {reached}."
        return
    change = change_of(metric, tested[metric] - other[metric])
    yield (
        f"On the test split, which chose nothing, the run with its median has {reached}, {change} "
        f"against {rival.name}."
    )


def _pointer(material: Material) -> str:
    count = len(cautions_of(material))
    return f"{counted(count, 'warning')} below." if count else ""


def _asked(material: Material) -> str:
    names = [quantity.name for quantity in material.quantities]
    return f"Which {listed(names)} make the best {material.study.select.metric}?"


def _scope(material: Material) -> str:
    states = {
        word: sum(record.state == state for record in material.records)
        for state, word in (
            ("COMPLETE", "complete"),
            ("PRUNED", "stopped early"),
            ("FAIL", "failed"),
            ("RUNNING", "not ended"),
        )
    }
    told = listed([f"{count} {word}" for word, count in states.items() if count] or ["none"])
    heads = listed(list(material.heads)) if material.heads else "none yet"
    total = counted(len(material.records), "trial")
    return f"Study {material.study.name}: {total} ({told}); heads: {heads}."
