"""Runs every command of the README and of two more pages, in short form where it is long.

Each line of a ``bash`` block must have an entry below, so a command that is added without one
fails.
A blocking command is started, asked over HTTP, and stopped; one that needs a cloud is checked
against Ray's own schema.
"""

import io
import json
import os
import pickle
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
SHORT = (
    "budget.trials=2 base.trainer.max_epochs=1 base.trainer.limit_train_batches=20 scheduler=null"
)
PORT = "5931"
PAGES = ("README.md", "docs/data_format.md", "docs/networks.md")


def main() -> None:
    """Run all commands; the first that fails ends this with its output."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        commands = [line for page in PAGES for line in commands_of(ROOT / page)]
        for command in dict.fromkeys(commands):
            started = time.monotonic()
            runner_of(command)(command, state)
            print(f"ok  {command}  ({time.monotonic() - started:.0f} s)", flush=True)


def commands_of(path: Path) -> list[str]:
    """The lines of all bash blocks, comments and repetitions left out."""
    blocks = re.findall(r"```bash\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def runner_of(command: str) -> Callable[[str, Path], None]:
    """How a command is tried here."""
    for start, runner in RUNNERS.items():
        if command.startswith(start):
            return runner
    sys.exit(f"nothing here says how to try `{command}`; add it to .ci/readme_commands.py")


def run(command: str, state: Path, extra: str = "") -> None:
    """Run a command of the project's environment in the checkout."""
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    words = shlex.split(f"{command} {extra}")
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{shlex.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


def as_it_is(command: str, state: Path) -> None:
    """Run it whole."""
    run(command, state)


def run_elsewhere(command: str, state: Path) -> None:
    """.ci/run has a step of its own for it."""


def short_make_sweep(command: str, state: Path) -> None:
    """The main job with two trials of one short epoch."""
    store = f"storage={state}/studies mlflow.tracking_uri=sqlite:///{state}/mlflow.db"
    run(command, state, f"'ARGS={SHORT} {store}'")


def short_sweep(command: str, state: Path) -> None:
    """A sweep with two trials of one short epoch, or only its check."""
    store = f"storage={state}/studies mlflow.tracking_uri=sqlite:///{state}/mlflow.db"
    run(command, state, f"{SHORT} {store}")


def short_train(command: str, state: Path) -> None:
    """A run of twenty batches, on the data set that was built before where it needs one."""
    command = command.replace("DIR", str(state / "multimnist"))
    run(command, state, f"trainer.limit_train_batches=20 hydra.run.dir={state}/run")


def small_multimnist(command: str, state: Path) -> None:
    """A small data set, which the commands below look at and rewrite."""
    run(command.replace("DIR", str(state / "multimnist")), state, "--train 200 --test 40")


def on_multimnist(command: str, state: Path) -> None:
    """On the data set that was built before."""
    run(
        command.replace("DIR", str(state / "multimnist")).replace("sheet.png", f"{state}/s.png"),
        state,
    )


def small_arrays(command: str, state: Path) -> None:
    """On twenty images of two classes."""
    write = (
        "import numpy as np, pathlib, sys; place = pathlib.Path(sys.argv[1]);"
        "np.save(place / 'x.npy', np.zeros((20, 8, 8, 3), np.uint8));"
        "(place / 'y.csv').write_text('shape,age\\n' + 'round,1\\nflat,2\\n' * 10)"
    )
    run(f'python -c "{write}" {state}', state)
    for name in ("x.npy", "y.csv"):
        command = command.replace(name, str(state / name))
    run(command.replace("DIR", str(state / "arrays")), state)


def small_archive(command: str, state: Path) -> None:
    """On an archive of ten images, laid out as that of CIFAR-100 is."""
    names = {
        b"fine_label_names": [f"fine {i}" for i in range(100)],
        b"coarse_label_names": [f"coarse {i}" for i in range(20)],
    }
    pixels = np.zeros((10, 3072), np.uint8)
    batch = {b"data": pixels, b"fine_labels": [7] * 10, b"coarse_labels": [3] * 10}
    archive = state / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        for name, member in (("train", batch), ("test", batch), ("meta", names)):
            content = pickle.dumps(member, protocol=2)
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    run(command.replace("DIR", str(state / "cifar100")).replace("FILE", str(archive)), state)


def on_a_picture(command: str, state: Path) -> None:
    """On a picture of one colour, with the model that the short sweep registered."""
    Image.new("RGB", (64, 48), "orange").save(state / "photo.png")
    command = command.replace("photo.png", str(state / "photo.png"))
    command = command.replace("champion.onnx", str(state / "champion.onnx"))
    run(command, state, f"--tracking-uri sqlite:///{state}/mlflow.db")


def served_and_asked(command: str, state: Path) -> None:
    """Start the server on the short sweep's model, send it a request, stop it."""
    own = {"PATH": f"{BIN}:{os.environ['PATH']}"}
    own["MLFLOW_TRACKING_URI"] = f"sqlite:///{state}/mlflow.db"
    words = shlex.split(command.replace("5001", PORT))
    images = np.zeros((2, 32, 32, 3), np.uint8).tolist()
    with stopped_at_the_end(words, os.environ | own) as process:
        wait_for(f"http://127.0.0.1:{PORT}/ping", process)
        request = urllib.request.Request(
            f"http://127.0.0.1:{PORT}/invocations",
            json.dumps({"instances": images}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            rows = json.load(answer)["predictions"]
    if [set(row) >= {"left", "left_name", "left_probability"} for row in rows] != [True, True]:
        sys.exit(f"the served model answered {rows}")


def on_the_short_study(command: str, state: Path) -> None:
    """On the study of the short sweep; where two are wanted, on it and itself."""
    run(re.sub(r"studies/\w+", f"{state}/studies/loss_weights", command), state)


def studies_of_the_short_sweep(command: str, state: Path) -> None:
    """In the storage of the short sweep."""
    run(command, state, f"{state}/studies")


def started_and_stopped(command: str, state: Path) -> None:
    """Start the UI on the short sweep's database, see that it answers, stop it."""
    words = [*shlex.split(command), f"PORT={PORT}", f"DB={state}/mlflow.db"]
    with stopped_at_the_end(words, os.environ) as process:
        wait_for(f"http://127.0.0.1:{PORT}/", process)


@contextmanager
def stopped_at_the_end(
    words: list[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A command that blocks."""
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a page answers; a server that ends before that is an error."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            time.sleep(1)
    sys.exit(f"the server for {url} ended with {process.returncode}")


def checked_by_rays_schema(command: str, state: Path) -> None:
    """Validate the cluster file as ``ray up`` does before it calls the cloud."""
    check = (
        "import sys, yaml;"
        "from ray.autoscaler._private.util import prepare_config, validate_config;"
        "validate_config(prepare_config(yaml.safe_load(open(sys.argv[1]))))"
    )
    file = next(word for word in shlex.split(command) if word.endswith(".yaml"))
    run(f"python -c {shlex.quote(check)} {file}", state)


RUNNERS = {
    "make test": run_elsewhere,
    "make help": as_it_is,
    "make sweep": short_make_sweep,
    "make ui": started_and_stopped,
    "python -m mhray.sweep configs/sweep_architectures.yaml": run_elsewhere,
    "python -m mhray.sweep configs/sweep_pbt.yaml": run_elsewhere,
    "python -m mhray.sweep": short_sweep,
    "python -m mhray.train": short_train,
    "python -m mhray.data.prepare multimnist": small_multimnist,
    "python -m mhray.data.prepare from-arrays": small_arrays,
    "python -m mhray.data.prepare cifar100": small_archive,
    "python -m mhray.data.prepare raw": on_multimnist,
    "python -m mhray.data.inspect": on_multimnist,
    "python -m mhray.report": on_the_short_study,
    "python -m mhray.compare": on_the_short_study,
    "python -m mhray.replay": on_the_short_study,
    "python -m mhray.studies": studies_of_the_short_sweep,
    "python -m mhray.predict": on_a_picture,
    "python -m mhray.export": on_a_picture,
    "mlflow models serve": served_and_asked,
    "pytest tests/": run_elsewhere,
    "ray up": checked_by_rays_schema,
    "ray attach": checked_by_rays_schema,
    "ray down": checked_by_rays_schema,
}

if __name__ == "__main__":
    main()
