"""Which file, found by following the code's branches, breaks a promise of reading?

    python fuzz/guided.py pickle -max_total_time=60

The first word is a kind of file: pickle, raw or header. What follows goes to libFuzzer, which
starts from the saved files and leaves a file that breaks a promise in fuzz/findings.
"""

import sys
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["mhray"]):
    from promise import CORPUS, FINDINGS, PICKLES, readers

LONGEST_READING, MOST_MEMORY = 10, 512  # seconds, MiB


def main() -> None:
    """Run libFuzzer; it ends the process."""
    program, kind, *options = sys.argv
    FINDINGS.mkdir(exist_ok=True)
    saved = [CORPUS / kind, *([PICKLES] if kind == "pickle" else [])]
    limits = [f"-timeout={LONGEST_READING}", f"-rss_limit_mb={MOST_MEMORY}"]
    with readers() as kinds, TemporaryDirectory() as found:
        reader = kinds[kind]

        def read(content: bytes) -> None:
            reader.read(content)

        words = [f"-artifact_prefix={FINDINGS}/", *limits, *options, found, *map(str, saved)]
        atheris.Setup([program, *words], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
