"""How far off are the quote of a sweep and its time left at half-way, and do their ranges hold?

    python benchmarks/quote.py                              # seconds: judges by recorded sweeps
    python benchmarks/quote.py --record studies/a studies/b # adds sweeps that have ended

Leave-one-out: each recorded sweep is quoted by what all others have left, as a user's next sweep
would be. At half-way of its epochs its rows have been told to the live display up to then, on a
clock of their own, and what it says is compared with what was left. A factor is forecast by truth.
There is no mark to pass: the machine is shared.
"""

import argparse
import json
import statistics
from dataclasses import replace
from functools import partial
from math import exp, log
from pathlib import Path

from mhray.training.epoch_row import EpochRow
from mhray.training.load import Load
from mhray.training.run import compose_run, read_heads_of
from mhray.tuning.capacity import parallel_trials
from mhray.tuning.cluster import capacity
from mhray.tuning.draws import Drawn, networks_of
from mhray.tuning.journal import Journal
from mhray.tuning.limits import options_of
from mhray.tuning.quote import Plan, quote
from mhray.tuning.record import TrialRecord
from mhray.tuning.speeds import SweepSpeed
from mhray.tuning.study import Study, dump_study
from mhray.tuning.sweep_speed import load_of, speed_of
from mhray.tuning.time_left import TimeLeft
from mhray.tuning.trial_overrides import fixed_overrides

SWEEPS = Path(__file__).with_name("quote_sweeps.jsonl")


def extract(directory):
    """The line of a sweep that has ended: what a quote needs, and what came of it."""
    import optuna

    url = f"sqlite:///{directory}/journal.db"
    attributes = optuna.load_study(study_name=directory.name, storage=url).user_attrs
    study = Study.model_validate(attributes["study"])
    journal = Journal.open(study, directory)

    places = parallel_trials(study.resources, capacity(None))
    records = journal.ended()
    own_load = partial(load_of, compose_run, read_heads_of(compose_run(fixed_overrides(study)))[1])
    speed = speed_of(records, own_load, places, attributes["seconds"], "here")
    return {
        "study": told(study),
        "max_epochs": compose_run(fixed_overrides(study)).trainer.max_epochs,
        "places": places,
        "seconds": round(attributes["seconds"], 2),
        "speed": speed and speed.model_dump(),
        "networks": [
            {
                "options": sorted(drawn.options),
                "load": drawn.load.model_dump(),
                "images": drawn.images,
                "share": drawn.share,
            }
            for drawn in networks_of(study, compose_run)
        ],
        "trials": [of_trial(study, record, records) for record in records],
    }


def told(study):
    """A study without the places of one machine."""
    dump = dump_study(study)
    return dump | {"base": {}, "storage": "studies", "journal": "auto", "mlflow": {}}


def of_trial(study, record, records):
    origin = min(each.epochs[0].time - each.epochs[0].seconds for each in records)
    return {
        "number": record.number,
        "state": record.state,
        "options": sorted(options_of(study, record.overrides)),
        "rows": [[round(row.time - origin, 3), round(row.seconds, 3)] for row in record.epochs],
    }


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def quoted(line, others):
    """The quote of a sweep by what others left; None if they had none of its networks."""
    networks = [
        Drawn((), frozenset(one["options"]), Load(**one["load"]), one["images"], one["share"])
        for one in line["networks"]
    ]
    study = Study.model_validate(line["study"])
    plan = Plan(study, line["max_epochs"], line["places"], networks)
    known = [SweepSpeed.model_validate(o["speed"]) for o in others if o["speed"]]
    found = quote(plan, known)
    return found and found.seconds


def records_of(line):
    """The trials as the live display hears of them."""
    for trial in line["trials"]:
        rows = tuple(
            EpochRow(epoch, {}, 0.0, seconds, time)
            for epoch, (time, seconds) in enumerate(trial["rows"], 1)
        )
        options = tuple(trial["options"])
        yield TrialRecord(trial["number"], trial["state"], options, 0, {}, rows, "", "", 1, "", {})


def events_of(line):
    """What happens in a sweep, in order: its time, and what the display is told then."""
    lead = line["speed"]["lead"]
    for record in records_of(line):
        begin = max(0.0, record.epochs[0].time - record.epochs[0].seconds - lead)
        fresh = replace(record, epochs=(), state="RUNNING")
        yield begin, record.number, 0, lambda left, fresh=fresh: left.started(fresh)
        for row in record.epochs:
            yield (
                row.time,
                record.number,
                row.epoch,
                lambda left, n=record.number, row=row: left.finished_epoch(
                    n, row.epoch, row.seconds
                ),
            )
        end = record.epochs[-1].time
        yield end, record.number, 10**6, lambda left, record=record: left.ended(record)


def half_way(line, others):
    """The time left as shown in the middle of a sweep's epochs, and what was left.

    Trials of a population take over each other's rows, so that none can be told when it trained.
    """
    now = [0.0]
    usual = statistics.median(other["speed"]["lead"] for other in others if other["speed"])
    study = Study.model_validate(line["study"])
    left = TimeLeft(study, line["max_epochs"], line["places"], [], None, usual, lambda: now[0])
    end = max(time for trial in line["trials"] for time, _ in trial["rows"])
    for time, _, _, tell in sorted(events_of(line), key=lambda event: event[:3]):
        if time > end / 2:
            break
        now[0] = time
        tell(left)
    now[0] = end / 2
    return left.span(), end / 2


def judged(pairs):
    """How spans compare with what came of it."""
    factors = [log(max(span.middle, 0.1) / truth) for span, truth in pairs]
    off = [exp(abs(factor)) for factor in factors]
    held = sum(span.low <= truth <= span.high for span, truth in pairs)
    return {
        "sweeps": len(pairs),
        "off_by_factor_median": round(statistics.median(off), 2),
        "off_by_factor_worst": round(max(off), 2),
        "bias_factor": round(exp(statistics.median(factors)), 2),
        "range_held": f"{held} of {len(pairs)}",
        "range_high_by_low": round(
            statistics.median(span.high / max(span.low, 0.1) for span, _ in pairs), 2
        ),
    }


def kind_of(line):
    scheduler = next(iter(line["study"]["scheduler"] or {"none": 0}))
    networks = {one["load"]["network"] for one in line["networks"]}
    return f"{' '.join(sorted(networks)) if len(networks) == 1 else 'four networks'}, {scheduler}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", type=Path, nargs="+", metavar="DIR", help="of ended studies")
    parser.add_argument("--sweeps", type=Path, default=SWEEPS, help="the recorded sweeps")
    options = parser.parse_args()
    for directory in options.record or ():
        with options.sweeps.open("a", encoding="utf-8") as file:
            file.write(json.dumps(extract(directory.resolve())) + "\n")
    lines = read(options.sweeps)
    before, middle = [], []
    for index, line in enumerate(lines):
        others = lines[:index] + lines[index + 1 :]
        span = quoted(line, others)
        left, truth = half_way(line, others) if line["speed"] else (None, 0.0)
        shown = "not known" if span is None else str(span)
        print(f"{line['seconds']:6.0f} s  quoted {shown}  [{kind_of(line)}]")
        if left is not None:
            print(f"{truth:6.0f} s left at half-way, said {left}")
        before += [] if span is None else [(span, line["seconds"])]
        middle += [] if left is None else [(left, truth)]
    print(json.dumps({"quote": judged(before), "half_way": judged(middle)}))


if __name__ == "__main__":
    main()
