"""Are damaged files read right or refused with a clear message?

    python fuzz/mutate.py --files 100000

Every saved file is damaged at random in many ways; the same seed damages alike. The process may
not grow by more than a fixed amount of memory, whatever a file asks for.
"""

import argparse
import pickletools
import re
import resource
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from random import Random

from promise import FINDINGS, Reader, readers, seeds

ROOM = 128 * 2**20  # bytes: the files have some thousand
SHOWN = 12  # what was said most often
OPCODES = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]


def main() -> None:
    """Damage files, read them, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=100_000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    arguments = parser.parse_args()
    limit_memory()
    with readers() as kinds:
        for reader in kinds.values():
            # Rounded up, so that there are no fewer than were asked for.
            files = -(-arguments.files // len(kinds))
            run(reader, files, Random(f"{reader.kind}{arguments.seed}"))


def limit_memory() -> None:
    """Let this process grow by ROOM and no more: it fails with a MemoryError. Linux only."""
    if sys.platform != "linux":
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def run(reader: Reader, files: int, draw: Random) -> None:
    """Read the saved files of a kind, then damaged ones, and print a table of what was said."""
    whole = seeds(reader.kind)
    start = time.perf_counter()
    damaged = (damage(whole, draw) for _ in range(files))
    said = Counter(outcome(reader, content) for content in (*whole, *damaged))
    seconds = time.perf_counter() - start
    print(f"{reader.kind}: {len(whole)} saved and {files} damaged files, {seconds:.0f} s")
    for what, count in said.most_common(SHOWN):
        print(f"{count:8} {what}")
        said -= Counter({what: count})
    print(f"{said.total():8} other refusals")


def outcome(reader: Reader, content: bytes) -> str:
    """What was said of a file; one that breaks a promise is kept beside, to become a test."""
    try:
        said = reader.read(content)
    except BaseException:
        FINDINGS.mkdir(exist_ok=True)
        finding = FINDINGS / f"{reader.kind}-{sha256(content).hexdigest()[:8]}"
        finding.write_bytes(content)
        print(f"a promise is broken; the file is {finding}")
        raise
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "_", said.splitlines()[0])[:70]


def damage(whole: list[bytes], draw: Random) -> bytes:
    """One of the files, with one to three things wrong."""
    content = bytearray(draw.choice(whole))
    for _ in range(draw.randint(1, 3)):
        draw.choice(DAMAGES)(content, whole, draw)
    return bytes(content)


def flip_a_bit(content: bytearray, _whole: list[bytes], draw: Random) -> None:
    if content:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def swap_an_opcode(content: bytearray, _whole: list[bytes], draw: Random) -> None:
    at = draw.randint(0, len(content))
    content[at : at + draw.randint(0, 1)] = draw.choice(OPCODES)


def write_a_number(content: bytearray, _whole: list[bytes], draw: Random) -> None:
    at, size = draw.randint(0, len(content)), draw.choice((1, 2, 4, 8))
    number = draw.choice((0, 1, 127, 128, 255, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1))
    content[at : at + size] = number.to_bytes(8, "little")[:size]


def write_digits(content: bytearray, _whole: list[bytes], draw: Random) -> None:
    at = draw.randint(0, len(content))
    content[at : at + 1] = draw.choice((b"-1", b"999999999", b"1e999", b"NaN", b"null", b"[]"))


def cut_off(content: bytearray, _whole: list[bytes], draw: Random) -> None:
    del content[draw.randint(0, len(content)) :]


def take_out(content: bytearray, _whole: list[bytes], draw: Random) -> None:
    at = draw.randint(0, len(content))
    del content[at : at + draw.randint(1, 16)]


def repeat(content: bytearray, _whole: list[bytes], draw: Random) -> None:
    at = draw.randint(0, len(content))
    content[at:at] = content[at : at + draw.randint(1, 32)] * draw.choice((1, 2, 30))


def splice(content: bytearray, whole: list[bytes], draw: Random) -> None:
    other = draw.choice(whole)
    content[draw.randint(0, len(content)) :] = other[draw.randint(0, len(other)) :]


DAMAGES = (
    flip_a_bit,
    swap_an_opcode,
    write_a_number,
    write_digits,
    cut_off,
    take_out,
    repeat,
    splice,
)


if __name__ == "__main__":
    main()
