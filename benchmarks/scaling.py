"""What does a sweep lose to scheduling, and what does its driver compute, beside Ray Tune alone?

    python benchmarks/scaling.py                              # 1, 2 and 4 nodes, a few minutes
    python benchmarks/scaling.py --nodes 1 --trials 1000 --parallel 50        # the long one
    python benchmarks/scaling.py --nodes 1 --epochs 20        # what an epoch's report costs

Trials sleep and import nothing of ours. Each side is a driver of its own on the same simulated
cluster (raylets on this machine), one after the other: ours with its journal, its searcher and
MLflow's write-ahead file; and a plain Tuner that draws at random and keeps nothing. What is lost
is the time of a place in which no trial sleeps, for each trial. A line goes into scaling.jsonl.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib

from mhray.training.origin import commit

RESULTS = Path(__file__).with_name("scaling.jsonl")
ROOT = Path(__file__).resolve().parents[1]


def sleeping(seconds, epochs):
    """A trial that sleeps, as either side's Tuner runs it; travels by value."""

    def trial(config):
        import time as clock

        from ray import tune

        accuracies = {f"val/{name}_acc": 0.5 for name in ("left", "right", "sum")}
        for epoch in range(1, epochs + 1):
            clock.sleep(seconds / epochs)
            tune.report(
                {
                    "epoch": epoch,
                    "metrics": {"val/acc_mean": 0.5, **accuracies},
                    "best": 0.5,
                    "seconds": seconds / epochs,
                    "time": clock.time(),
                    "images_per_second": 0.0,
                }
            )

    return trial


def measured(run):
    """Wall-clock and processor seconds of this process while ``run`` runs."""
    began, used = time.perf_counter(), time.process_time()
    run()
    return {"wall": time.perf_counter() - began, "cpu": time.process_time() - used}


class MeasuredError(Exception):
    """Ends our side after its trials: sleep leaves no model to test."""


def ours(options, directory):
    from mhray.sweep import main
    from mhray.tuning import running, sweep

    real, found = sweep.run_trials, {}
    sweep.run_trial = sleeping(options.seconds, options.epochs)
    # A process that reads a job imports what it is made of, and fifty of those fill 24 GiB.
    sweep.job_of = lambda _plan: None

    def run_trials(*arguments):
        found.update(measured(lambda: real(*arguments)))
        raise MeasuredError

    running.run_trials = run_trials
    command = [
        str(ROOT / "configs" / "sweep_weights.yaml"),
        f"base.data.data_dir={directory / 'data'}",
        f"base.trainer.max_epochs={options.epochs}",
        "scheduler=null",
        f"budget.trials={options.trials}",
        f"resources.parallel_trials={options.parallel}",
        f"storage={directory / 'studies'}",
        f"mlflow.tracking_uri=sqlite:///{directory}/mlflow.db",
    ]
    try:
        main(command)
    except MeasuredError:
        return found
    raise SystemExit("no trial was run")


def theirs(options, directory):
    import ray
    from ray import tune

    ray.init(os.environ["RAY_ADDRESS"], log_to_driver=False)
    tuner = tune.Tuner(
        tune.with_resources(sleeping(options.seconds, options.epochs), {"CPU": 1}),
        param_space={"lr": tune.loguniform(1e-4, 1e-2), "left": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(
            num_samples=options.trials, max_concurrent_trials=options.parallel, reuse_actors=True
        ),
        run_config=tune.RunConfig(name="plain", storage_path=str(directory), verbose=0),
    )
    return measured(tuner.fit)


SIZES = ("trials", "parallel", "epochs", "seconds")
SIDES = {"ours": ours, "tune": theirs}


def run_side(side, options, address, directory):
    """One side as a process of its own; what it measured."""
    found = directory / f"{side}.json"
    words = [f"--{name}={vars(options)[name]}" for name in SIZES]
    done = subprocess.run(
        [sys.executable, __file__, f"--side={side}", f"--directory={directory}", *words],
        env=os.environ | {"RAY_ADDRESS": address},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{side} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return json.loads(found.read_text())


def compare(nodes, options):
    """Both sides on a cluster of so many nodes: a line of the results."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(nodes):
        cluster.add_node(num_cpus=options.parallel // nodes)
    try:
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder)
            prepare_data(directory / "data")
            sides = {side: run_side(side, options, cluster.address, directory) for side in SIDES}
    finally:
        cluster.shutdown()
    trials, parallel, seconds = options.trials, options.parallel, options.seconds
    line = {"nodes": nodes, **{name: vars(options)[name] for name in SIZES}}
    for side, found in sides.items():
        lost = (found["wall"] * parallel - trials * seconds) / trials
        line[side] = {"lost_s": round(lost, 3), "driver_cpu_s": round(found["cpu"] / trials, 4)}
    line["ratio_lost"] = round(line["ours"]["lost_s"] / line["tune"]["lost_s"], 2)
    line["ratio_cpu"] = round(line["ours"]["driver_cpu_s"] / line["tune"]["driver_cpu_s"], 2)
    load = [round(value, 1) for value in os.getloadavg()]
    return line | {"load": load, "cores": joblib.cpu_count(), "commit": commit()}


def prepare_data(directory):
    from mhray.data.prepare import main

    main(["multimnist", str(directory), "--train", "600", "--test", "100"])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--parallel", type=int, default=8, help="trials at a time, on all nodes")
    parser.add_argument("--epochs", type=int, default=1, help="that each trial reports")
    parser.add_argument("--seconds", type=float, default=2.0, help="that each trial sleeps")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        found = SIDES[options.side](options, options.directory)
        (options.directory / f"{options.side}.json").write_text(json.dumps(found))
        return
    from mhray.training.connection import RAY_ENVIRONMENT

    os.environ.update(RAY_ENVIRONMENT)  # the same for both
    for nodes in options.nodes:
        line = json.dumps(compare(nodes, options))
        print(line)
        with RESULTS.open("a") as file:
            file.write(f"{line}\n")


if __name__ == "__main__":
    main()
