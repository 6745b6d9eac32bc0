"""What does a study of weightings say, and which differences can its seeds tell apart?

    python -m mhray.sweep configs/sweep_weightings.yaml     # runs the study, or goes on with it
    python benchmarks/weightings_page.py                    # writes the page, whatever has ended

KEY=VALUE after either command changes the study alike. The page is made of the study's journal
alone, and of the names of its data's heads.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import optuna
from markdown_parts import table, with_interval

from mhray.errors import MhrayError, StorageError
from mhray.training.project import shipped_directory
from mhray.training.run import compose_run, read_heads_of
from mhray.tuning.comparison import Interval, difference, rows_of, setting_of
from mhray.tuning.grid import seed_of
from mhray.tuning.journal import Journal
from mhray.tuning.report import in_short
from mhray.tuning.space import combinations, format_override
from mhray.tuning.study_file import load_study
from mhray.tuning.trial_overrides import fixed_overrides, samples_of

ROOT = shipped_directory()
RATE = "model.optimizer.lr"
BETTER, WORSE, SAME = KINDS = ("better than `equal`", "worse", "not told apart")
PAGE = """\
# Weightings compared

Made by `make weightings` from the journal of `configs/sweep_weightings.yaml`, and not by hand.

{ended} of {planned} trials have ended, {complete} of them after all of their {epochs} epochs; the
seeds are {seeds}. Each trial is `python -m mhray.train` with what its row says and
`{base}`.

The learning rates {rates} were tried for every row alike, and for `fixed` each with
several loss weights. A row has what reached the best mean `{metric}` over its seeds, on
validation. Accuracies are those on the test split, which chose nothing, of the epoch that was best
on validation: the mean over the seeds, and the half width of its 95 % interval (Student's t). It
covers initialisation and order of the images; the split and the test images are the same for all.

{table}

`<head> alone` is a network that is trained on that head and no other. {implied}

## Beside equal weights

How much more each row has than `equal`, in points of accuracy, of which 100 are all images: the
mean of the differences between runs of one seed, and the half width of its 95 % interval. Bold is
what the seeds can tell from 0.

{differences}

{verdicts}

{luck}
{remarks}
First started at commit {commit}; {hours:.1f} hours of training, over all trials.
"""


def label(name):
    """A row in words."""
    chosen = dict(override.split("=", 1) for override in name)
    alone = chosen.get("model.train_heads", "null")
    if alone != "null":
        return f"`{alone}` alone"
    return f"`{chosen.get('weighting') or in_short(name)}`"


def columns(rows, heads, selection):
    """By the word for each accuracy, that of each row of which it is known, by seed."""
    known = {head: [row.values(f"test/{head}_acc", selection) for row in rows] for head in heads}
    has_all = [all(values) for values in zip(*known.values(), strict=True)]
    means = [row.values("test/acc_mean", selection) for row in rows]
    # Over fewer heads it is another mean.
    return known | {"mean": [mean if has else {} for mean, has in zip(means, has_all, strict=True)]}


def points(found):
    """A difference with its interval, bold if that leaves 0 out."""
    if found is None:
        return ""
    text = f"{Interval(100 * found.mean, 100 * found.half):+.1f}"
    return f"**{text}**" if found.is_off_zero else text


def accuracies(rows, known):
    """The table of what each row reaches."""
    cells = [
        [
            label(row.name),
            f"`{in_short(row.tuned)}`",
            *(with_interval([*values[index].values()]) for values in known.values()),
            str(len(row.trials)),
        ]
        for index, row in enumerate(rows)
    ]
    return table([["row", "chosen", *known, "seeds"], *cells])


def differences(rows, known, reference):
    """Each row minus the one of this name: by the word for the accuracy, by the row's label."""
    names = [row.name for row in rows]
    return {
        word: {
            label(name): difference(minuend, values[names.index(reference)])
            for name, minuend in zip(names, values, strict=True)
            if name != reference and reference in names
        }
        for word, values in known.items()
    }


def kind_of(found):
    """What the seeds say of a difference."""
    if not found.is_off_zero:
        return SAME
    return BETTER if found.mean > 0 else WORSE


def verdicts(found):
    """What the seeds can tell apart, accuracy by accuracy."""
    for word, by_row in found.items():
        of_kind = {
            kind: [name for name, each in by_row.items() if each and kind_of(each) == kind]
            for kind in KINDS
        }
        said = [f"{kind}: {', '.join(names)}" for kind, names in of_kind.items() if names]
        yield f"* {word}: {'; '.join(said)}."


def luck(found):
    """How many intervals leave 0 out, and how many would if no row differed."""
    every = [each for by_row in found.values() for each in by_row.values() if each is not None]
    count = sum(each.is_off_zero for each in every)
    return (
        f"{count} of {len(every)} differences are bold. If no row differed from another, one in 20 "
        f"would be, so about {len(every) / 20:.0f} here."
    )


def remarks(study, rows, planned):
    """Rows that are missing or have fewer seeds, and rates beside which others were not tried."""
    missing = [label(name) for name in planned if name not in {row.name for row in rows}]
    if missing:
        yield f"No trial is complete of: {', '.join(missing)}."
    most = max(len(row.trials) for row in rows)
    fewer = [label(row.name) for row in rows if len(row.trials) < most]
    if fewer:
        yield f"Fewer seeds than the others have: {', '.join(fewer)}."
    rates = study.search[RATE].choice
    ends = {format_override(RATE, end(rates)) for end in (min, max)}
    edge = [label(row.name) for row in rows if ends.intersection(row.tuned)]
    if edge:
        yield f"The rate is the smallest or the largest of those tried for: {', '.join(edge)}."


def page(study, journal, heads):
    """The page about the trials of the budget that have ended.

    Raises:
        StorageError: none is complete.
    """
    records = [each for each in journal.ended() if each.number < study.budget.trials]
    rows = rows_of(study, records)
    if not rows:
        raise StorageError(f"no trial of the study {study.name} is complete; run it first")
    samples = samples_of(study, len(combinations(study.search)))
    planned = list(dict.fromkeys(setting_of(study, overrides)[0] for overrides in samples))
    known = columns(rows, [head.name for head in heads], study.selection)
    found = differences(rows, known, planned[0])
    by_row = [[name, *(points(found[word][name]) for word in found)] for name in found["mean"]]
    return PAGE.format(
        ended=len(records),
        planned=study.budget.trials,
        complete=Counter(record.state for record in records)["COMPLETE"],
        epochs=max(len(record.epochs) for record in records),
        seeds=", ".join(map(str, sorted({seed_of(study, each.number) for each in records}))),
        base=" ".join(fixed_overrides(study)),
        rates=", ".join(f"{rate:g}" for rate in study.search[RATE].choice),
        metric=study.select.metric,
        table=accuracies(rows, known),
        implied=implied_heads(heads),
        differences=table([["row", *found], *by_row]),
        verdicts="\n".join(verdicts(found)),
        luck=luck(found),
        remarks="".join(f"\n{remark}\n" for remark in remarks(study, rows, planned)),
        commit=journal.origin["commit"],
        hours=sum(record.seconds for record in records) / 3600,
    )


def implied_heads(heads):
    """What there is to say of heads that others imply."""
    found = {head.name: " or ".join(head.implied_by) for head in heads if head.implied_by}
    if found:
        listing = ", ".join(f"{by} tells {name}" for name, by in found.items())
        return f"It predicts what that head implies as well: {listing}."
    return "No head of these data implies another, so none alone can predict two."


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for the sweep")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "weightings.md")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = load_study(
            ROOT / "configs" / "sweep_weightings.yaml", options.overrides, ROOT
        ).study
        journal = Journal.open(study, Path(study.storage).resolve() / study.name)
        heads, _ = read_heads_of(compose_run(fixed_overrides(study)))
        text = page(study, journal, heads)
    except MhrayError as error:
        sys.exit(f"error: {error}")
    options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
