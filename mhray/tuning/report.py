"""What a study found: the best trial beside equal weights, and the line that repeats it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mhray.heads import Head
from mhray.training.epochs import Selection
from mhray.training.origin import reproduce_line
from mhray.tuning.comparison import Row, interval, rows_of
from mhray.tuning.distributions import LOSS_WEIGHTS
from mhray.tuning.front import hypervolume, on_front
from mhray.tuning.record import BASELINE, TrialRecord
from mhray.tuning.space import format_override
from mhray.tuning.study import Study
from mhray.tuning.weak_heads import weak_heads


def best_of(records: Sequence[TrialRecord], selection: Selection) -> TrialRecord | None:
    """The complete trial with the best selected metric; the earliest of equals; None if none is.

    Trials that predict fewer heads than others do have another metric of that name.
    """
    return _furthest(_complete(records), selection)


def front_of(records: Sequence[TrialRecord], study: Study) -> list[TrialRecord]:
    """The complete trials that no other one beats on every objective of the study."""
    complete = _complete(records)
    on = on_front([_scores(record, study) for record in complete])
    return [record for record, is_on in zip(complete, on, strict=True) if is_on]


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
) -> None:
    """The result table, what to beware of in it, and the line that reproduces the best trial.

    `shown` are the table's rows: metrics without their split, and a word for each. `heads` are
    those of the data.
    """
    selection = study.selection
    best = best_of(records, selection)
    if line := failed_line(records):
        console.print(line, markup=False, soft_wrap=True)
    if best is None:
        console.print("no trial is complete, so there is no best one", markup=False)
        return
    baseline = next(record for record in records if record.number == BASELINE)
    console.print(result_table(best, baseline, selection, shown, _name_of_baseline(study)))
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
    baseline_name: str,
) -> Table:
    """Best trial and trial 0 side by side, on validation and on test."""
    title = f"best trial {best.number} beside trial {baseline.number} ({baseline_name})"
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
        value, number = (_value(best, selection), str(best.number)) if best else (None, "-")
        complete = sum(record.state == "COMPLETE" for record in drawn)
        table.add_row(option, str(len(drawn)), str(complete), _cell(value), number)
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


def _on_two_lines(values: Iterable[float]) -> str:
    return f"{interval([*values]):.3f}".replace(" ", "\n", 1)


def _complete(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The complete trials, but for those that predict fewer heads than others."""
    complete = [record for record in records if record.state == "COMPLETE"]
    most = max(map(_heads_of, complete), default=0)
    return [record for record in complete if _heads_of(record) == most]


def _heads_of(record: TrialRecord) -> int:
    """How many heads a trial predicts."""
    metrics = record.epochs[-1].metrics
    return sum(name.startswith("val/") and name.endswith("_loss") for name in metrics)


def _furthest(records: Sequence[TrialRecord], selection: Selection) -> TrialRecord | None:
    best: TrialRecord | None = None
    for record in records:
        if best is None or selection.prefers(_value(record, selection), _value(best, selection)):
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


def _value(record: TrialRecord, selection: Selection) -> float:
    return record.best_epoch(selection).metrics[selection.metric]


def _scores(record: TrialRecord, study: Study) -> list[float]:
    metrics = record.best_epoch(study.selection).metrics
    return [
        metrics[goal.metric] if goal.mode == "max" else -metrics[goal.metric]
        for goal in study.objectives
    ]
