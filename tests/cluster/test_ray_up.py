"""``cluster/local.yaml`` for real: ``ray up`` reaches three hosts through their ssh servers."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.chaos.records import journal_in
from tests.chaos.sweeps import Shape, study_of
from tests.cluster.hosts import HOME, ROOT, wait_until

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin")
LAUNCHER = {"RAY_UP_enable_autoscaler_v2": "0", "RAY_TMPDIR": "/mnt/ray"}
RAY = str(Path(sys.executable).with_name("ray"))
AT_HOME = f"unset RAY_AUTH_MODE && cd {ROOT}"  # as in a user's shell
NAME, DATA = "sweep", "/mnt/data"

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not SSHD, reason="ray up over ssh: no sshd here; install openssh-server"),
    pytest.mark.skipif(
        not shutil.which("rsync"), reason="ray up over ssh: no rsync here; install rsync"
    ),
]


def serve_ssh(host, key):
    """Let whoever has the key log in to a host, whose home is its own."""
    host.run("sh", "-ec", SETUP, KEY=str(key))
    options = {
        "HostKey": "/mnt/host_key",
        "PidFile": "none",
        "StrictModes": "no",
        "PermitRootLogin": "prohibit-password",
        "AuthorizedKeysFile": f"{HOME}/.ssh/authorized_keys",
        "SetEnv": "RAY_TMPDIR=/mnt/ray RAY_USAGE_STATS_ENABLED=0",
        "UsePAM": "no",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    host.start(SSHD, "-D", "-e", "-f", "/dev/null", *words)
    wait_until(lambda: "Server listening" in host.said(), 60)


SETUP = f"""
    sed 's#:/root:#:{HOME}:#' /etc/passwd > /mnt/passwd
    mount --bind /mnt/passwd /etc/passwd
    mkdir -p {HOME}/.ssh {HOME}/mhray /run/sshd
    rm -r {HOME}/.ray
    echo 'PATH="$HOME/mhray/.venv/bin:$HOME/.local/bin:$PATH"' > {HOME}/.profile
    cp "$KEY.pub" {HOME}/.ssh/authorized_keys
    ln -s {Path(sys.prefix)} {HOME}/mhray/.venv
    ssh-keygen -q -t ed25519 -N '' -f /mnt/host_key
"""


def cluster_file(directory, addresses, key):
    """The shipped file, with what is marked changed; packages are there already."""
    config = yaml.safe_load((ROOT / "cluster" / "local.yaml").read_text())
    config["provider"] |= {"head_ip": addresses[0], "worker_ips": addresses[1:]}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(key)}
    config["setup_commands"] = config["setup_commands"][:-1]
    path = directory / "local.yaml"
    path.write_text(yaml.safe_dump(config))
    return str(path)


def test_ray_up_starts_all_hosts_a_sweep_uses_them_and_ray_down_ends_them(
    hosts, small_data, tmp_path, figures
):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    laptop, *machines = (hosts.add(name) for name in ("laptop", "head", "one", "two"))
    for machine in machines:
        serve_ssh(machine, key)
    machines[0].run("cp", "-r", str(small_data), DATA)
    file = cluster_file(tmp_path, [machine.address for machine in machines], key)
    storage = tmp_path / NAME
    storage.mkdir()
    study = study_of(
        NAME, Shape(3, 40), Path(DATA), storage / "studies", "sqlite:////mnt/mlflow.db"
    )
    # So large that no two fit on a host, whatever it has.
    study["resources"]["per_worker"] = {"cpus": os.cpu_count()}
    (storage / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))

    laptop.run("rm", f"{HOME}/.ray/auth_token")
    ray(laptop, "get-auth-token", "--generate")
    ray(laptop, "up", "-y", "--no-config-cache", file)
    wait_until(lambda: nodes(laptop, file) == 3, 900)
    variables = "PYTHONPATH=. RAY_AUTH_MODE=token"
    sweep = f".venv/bin/python -m mhray.sweep {storage}/study.yaml"
    ray(laptop, "exec", file, f"cd ~/mhray && {variables} {sweep}")
    submit(laptop, file, f"cd {HOME}/mhray && PYTHONPATH=. {sweep}")
    script = tmp_path / "own.py"
    script.write_text(SCRIPT.format(storage=storage))
    ray(laptop, "submit", file, script)
    experiments = seen_in_mlflow(laptop, file)
    ray(laptop, "down", "-y", file)
    # The workers notice after a minute that the head has gone.
    wait_until(lambda: not any(runs_ray(machine) for machine in machines), 300)

    assert [told.state for told in journal_in(storage)] == ["COMPLETE"] * 3
    assert "at a time on the cluster at 10.77.0.2:6379" in laptop.said()
    fetched = re.findall(r"data: (\S+) fetched", laptop.said())
    # One at least: a trial may have ended before the next one's process is there.
    assert fetched
    # The job, and the script, find the study where the first command left it.
    assert laptop.said().count("all 3 trials have ended; this is their result") == 2
    assert NAME in experiments
    figures(nodes=3, fetched=fetched)


SCRIPT = """
import sys
from mhray.sweep import main

sys.exit(main(["{storage}/study.yaml"]))
"""


def ray(laptop, *words):
    command = f"{AT_HOME} && exec {RAY} " + '"$@"'
    laptop.run("sh", "-c", command, "ray", *words, **LAUNCHER)


def runs_ray(machine):
    # Nobody buries the dead of a namespace.
    return machine.start("pgrep", "--runstates=R,S,D", "raylet").wait() == 0


def submit(laptop, file, command):
    """Hand the head a command as a job, through a port that ssh forwards."""
    tunnel = f"{AT_HOME} && exec {RAY} dashboard --no-config-cache {file}"
    forwarding = laptop.start("sh", "-c", tunnel, **LAUNCHER)
    is_open = "import socket; socket.create_connection(('127.0.0.1', 8265))"
    wait_until(lambda: laptop.start(sys.executable, "-c", is_open).wait() == 0, 300)
    address = "--address=http://127.0.0.1:8265"
    words = ("job", "submit", address, "--", "sh", "-c", command)
    laptop.run(RAY, *words, RAY_AUTH_MODE="token")
    forwarding.terminate()


def seen_in_mlflow(laptop, file):
    """The experiments that MLflow shows here, through a port that a shell on the head forwards."""
    typed = (
        "cd ~/mhray && .venv/bin/mlflow ui --backend-store-uri sqlite:////mnt/mlflow.db --port 5000"
    )
    attached = (
        f"{AT_HOME} && (echo '{typed}'; sleep infinity) | {RAY} attach {file} --port-forward 5000"
    )
    shell = laptop.start("script", "-qec", attached, "/dev/null", **LAUNCHER)
    before = len(laptop.said())
    wait_until(lambda: laptop.start(sys.executable, "-c", ASK).wait() == 0, 300)
    shell.terminate()
    return laptop.said()[before:]


ASK = """
import urllib.request

url = "http://127.0.0.1:5000/api/2.0/mlflow/experiments/search?max_results=9"
print(urllib.request.urlopen(url).read().decode())
"""


def status(laptop, file):
    before = len(laptop.said())
    ray(laptop, "exec", file, "RAY_AUTH_MODE=token ~/mhray/.venv/bin/ray status")
    return laptop.said()[before:]


def nodes(laptop, file):
    active = status(laptop, file).partition("Active:")[2].partition("Pending:")[0]
    return sum(int(count) for count in re.findall(r"^ *(\d+) ", active, re.MULTILINE))
