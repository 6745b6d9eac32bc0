"""What a study found: the best trial beside equal weights, and the line that repeats it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mhray.heads import Head
from mhray.training.origin import reproduce_line
from mhray.training.selection import Selection
from mhray.tuning.candidates import Candidate
from mhray.tuning.comparison import Row, interval, rows_of
from mhray.tuning.confirmation import Confirmation
from mhray.tuning.distributions import LOSS_WEIGHTS
from mhray.tuning.front import hypervolume, on_front
from mhray.tuning.ranking import complete, ranked, value_of
from mhray.tuning.record import BASELINE, TrialRecord
from mhray.tuning.space import format_override
from mhray.tuning.study import Study
from mhray.tuning.verdict import Verdict
from mhray.tuning.weak_heads import weak_heads


def best_of(records: Sequence[TrialRecord], selection: Selection) -> TrialRecord | None:
    """The complete trial with the best selected metric; the earliest of equals; None if none is.

    Trials that predict fewer heads than others do have another metric of that name.
    """
    return next(iter(ranked(records, selection)), None)


def front_of(records: Sequence[TrialRecord], study: Study) -> list[TrialRecord]:
    """The complete trials that no other one beats on every objective of the study."""
    found = complete(records)
    on = on_front([_scores(record, study) for record in found])
    return [record for record, is_on in zip(found, on, strict=True) if is_on]


def front_line(records: Sequence[TrialRecord], study: Study) -> str:
    """The front of a study in words; of accuracies alone also how much of the room they take.

    That is the hypervolume above the accuracies that may still be chance.
    """
    front = front_of(records, study)
    line = f"Pareto front: trials {', '.join(str(record.number) for record in front)}"
    known = front[0].best_epoch(study.selection).metrics
    chances = [known.get(f"{goal.metric}_chance") for goal in study.objectives]
    reference = [chance for chance in chances if chance is not None]
    if len(reference) < len(chances):
        return line
    volume = hypervolume([_scores(record, study) for record in front], reference)
    return f"{line}; hypervolume above chance {volume:.4f}"


def failed_line(records: Sequence[TrialRecord]) -> str:
    """The failed trials in a line; empty if there is none."""
    failed = [str(record.number) for record in records if record.state == "FAIL"]
    if not failed:
        return ""
    return f"failed: trial {', '.join(failed)}; why is in checkpoints/<trial>/failure.txt"


def trials_to_test(study: Study, records: Sequence[TrialRecord]) -> list[int]:
    """The trials that a study ends with: the best, trial 0, and those of a grid's rows; by number.

    There are none if no trial is complete.
    """
    best = best_of(records, study.selection)
    if best is None:
        return []
    rows = rows_of(study, records) if study.grid else []
    return sorted({best.number, BASELINE, *(each.number for row in rows for each in row.trials)})


def print_result(
    console: Console,
    study: Study,
    records: Sequence[TrialRecord],
    shown: Mapping[str, str],
    config_dir: Path | None = None,
    heads: Sequence[Head] = (),
    confirmation: Confirmation | None = None,
) -> None:
    """The result table, what to beware of in it, and the line that reproduces the best trial.

    `shown` are the table's rows: metrics without their split, and a word for each. `heads` are
    those of the data. Once `confirmation` has a winner, the result is that.
    """
    selection = study.selection
    best = best_of(records, selection)
    if line := failed_line(records):
        console.print(line, markup=False, soft_wrap=True)
    if best is None:
        console.print("no trial is complete, so there is no best one", markup=False)
        return
    if confirmation is not None and confirmation.winner is not None:
        best = _print_confirmed(console, confirmation, confirmation.winner, shown)
    else:
        if confirmation is not None:
            line = "not confirmed: what follows is what the search found, which flatters its best"
            console.print(line, markup=False)
        baseline = next(record for record in records if record.number == BASELINE)
        name = _name_of_baseline(study)
        title = f"best trial {best.number} beside trial {baseline.number} ({name})"
        console.print(result_table(best, baseline, selection, shown, title, name))
    for warning in weak_heads(best.best_epoch(selection).metrics, heads):
        console.print(f"warning: {warning}", markup=False)
    if study.grid:
        console.print(comparison_table(rows_of(study, records), heads, selection))
    for path, distribution in study.search.items() if not study.grid else ():
        if distribution.options():
            options = tuple(distribution.options())
            console.print(options_table(path, options, records, selection))
    if len(study.objectives) > 1:
        console.print(front_line(records, study), markup=False)
    console.print("Reproduce the best trial:", markup=False)
    line = reproduce_line(best.overrides, best.seed, config_dir)
    console.print(line, markup=False, soft_wrap=True)


def result_table(
    best: TrialRecord,
    baseline: TrialRecord,
    selection: Selection,
    shown: Mapping[str, str],
    title: str,
    baseline_name: str,
) -> Table:
    """Best trial and baseline side by side, on validation and on test."""
    table = Table(title=title, title_justify="left")
    table.add_column("accuracy")
    for split in ("validation", "test"):
        table.add_column(f"{split}\nbest", justify="right")
        table.add_column(f"{split}\n{baseline_name}", justify="right")
    found = [_metrics(best, selection), _metrics(baseline, selection)]
    for name, word in shown.items():
        values = [metrics.get(f"{split}/{name}") for split in ("val", "test") for metrics in found]
        table.add_row(word, *map(_cell, values))
    return table


def options_table(
    path: str, options: Sequence[str], records: Sequence[TrialRecord], selection: Selection
) -> Table:
    """How far the trials of each option of a path came; those that were stopped count as well."""
    table = Table(title=f"{path}: what each option reached", title_justify="left")
    table.add_column("option")
    for name in ("trials", "complete", selection.metric, "of trial"):
        table.add_column(name, justify="right")
    for option in options:
        drawn = [r for r in records if format_override(path, option) in r.overrides]
        best = _furthest([record for record in drawn if record.epochs], selection)
        value, number = (value_of(best, selection), str(best.number)) if best else (None, "-")
        ended = sum(record.state == "COMPLETE" for record in drawn)
        table.add_row(option, str(len(drawn)), str(ended), _cell(value), number)
    return table


def comparison_table(rows: Sequence[Row], heads: Sequence[Head], selection: Selection) -> Table:
    """What each row of a grid reaches on test: means over seeds, with their 95 % intervals."""
    table = Table(title="each row on test, mean and 95 % interval over seeds", title_justify="left")
    table.add_column("row,\nand what is tuned")
    for name in ("seeds", *(head.name for head in heads), "mean"):
        table.add_column(name, justify="right")
    for row in rows:
        found = [row.values(f"test/{head.name}_acc", selection) for head in heads]
        # Over fewer heads it is another mean.
        found.append(row.values("test/acc_mean", selection) if all(found) else {})
        cells = [_on_two_lines(each.values()) if each else "-" for each in found]
        name = f"{in_short(row.name)}\n{in_short(row.tuned)}"
        table.add_row(name, str(len(row.trials)), *cells)
    return table


def in_short(overrides: Iterable[str]) -> str:
    """Overrides as far as a table has room for them.

    >>> in_short(["weighting=equal", "model.train_heads=null", "model.optimizer.lr=0.001"])
    'weighting=equal lr=0.001'
    """
    pairs = [override.partition("=") for override in overrides]
    return " ".join(
        f"{path.rpartition('.')[2]}={value}" for path, _, value in pairs if value != "null"
    )


def _print_confirmed(
    console: Console, confirmation: Confirmation, winner: Candidate, shown: Mapping[str, str]
) -> TrialRecord:
    """The verdict, and the winner's median run beside its rival's; returns the winner's."""
    verdict, rival = Verdict(confirmation, shown), confirmation.rival or winner
    best, baseline = (confirmation.median_run(each) for each in (winner, rival))
    console.print(verdict.table())
    title = f"{winner.name} beside {rival.name}, the run with the median of each"
    name = "equal weights" if verdict.weighed() else rival.name
    console.print(result_table(best, baseline, confirmation.study.selection, shown, title, name))
    for sentence in verdict.sentences():
        console.print(sentence, markup=False, soft_wrap=True)
    return best


def _on_two_lines(values: Iterable[float]) -> str:
    return f"{interval([*values]):.3f}".replace(" ", "\n", 1)


def _furthest(records: Sequence[TrialRecord], selection: Selection) -> TrialRecord | None:
    best: TrialRecord | None = None
    for record in records:
        if best is None or selection.prefers(
            value_of(record, selection), value_of(best, selection)
        ):
            best = record
    return best


def _name_of_baseline(study: Study) -> str:
    if study.grid:
        return "the first"
    weighs = any(path.startswith(LOSS_WEIGHTS) for path in study.search)
    return "equal weights" if weighs else "the config itself"


def _metrics(record: TrialRecord, selection: Selection) -> dict[str, float]:
    validated = record.best_epoch(selection).metrics if record.epochs else {}
    return validated | record.test


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _scores(record: TrialRecord, study: Study) -> list[float]:
    metrics = record.best_epoch(study.selection).metrics
    return [
        metrics[goal.metric] if goal.mode == "max" else -metrics[goal.metric]
        for goal in study.objectives
    ]
