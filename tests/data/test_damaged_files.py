import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).parent.parent.parent / "fuzz"


def test_damaged_files_are_read_right_or_refused_clearly(tmp_path):
    finished = subprocess.run(
        [sys.executable, FUZZ / "mutate.py", "--files", "900"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    counts = [line for line in finished.stdout.splitlines() if "damaged files" in line]
    assert [line.partition(":")[0] for line in counts] == ["pickle", "raw", "header"]
    assert all("and 300 damaged files" in line for line in counts)
