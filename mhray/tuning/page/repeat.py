"""Everything that is needed to have the same result again."""

from pathlib import Path

from mhray.training.origin import reproduce_line
from mhray.tuning.page.blocks import Block, Code, Section, Table, text
from mhray.tuning.page.material import Material
from mhray.tuning.page.wording import moment
from mhray.tuning.schema import written
from mhray.tuning.study import dump_study


def repeat(material: Material) -> Section:
    """The best trial's command, the study's, versions, commit, data and split."""
    blocks = (
        *commands(material),
        Table(("what", "value"), tuple(_rows(material)), ends_in_words=True),
        text("The study with all defaults:"),
        Code(_study(material)),
    )
    return Section("To repeat it", blocks)


def commands(material: Material) -> list[Block]:
    """What trains the best trial again, and what started the study, as far as there are any."""
    blocks: list[Block] = []
    best = material.ends_with
    if best is not None:
        own = Path(material.config_dir) if material.config_dir else None
        line = reproduce_line(best.overrides, best.seed, own)
        name = best.candidate or f"trial {best.number}"
        blocks += [text(f"The best, {name}:"), Code(line)]
    if material.command:
        blocks += [text("The study, resumed or shown again:"), Code(material.command)]
    return blocks


def _rows(material: Material) -> list[tuple[str, str]]:
    origin = dict(material.origin)
    commit, diff = origin.pop("commit", ""), origin.pop("diff", "")
    seeds = sorted({record.seed for record in material.records})
    rows = [
        ("commit", commit or "none: not run from a checkout"),
        *([("uncommitted changes, sha256", diff)] if diff else []),
        ("data fingerprint, sha256", str(material.data.get("fingerprint", "-"))),
        ("validation split", _split(material)),
        ("seeds of the trials", ", ".join(map(str, seeds)) or "-"),
        *origin.items(),
        ("last trial ended", moment(material.ended)),
    ]
    if material.changes:
        rows.append(("went on as something else", f"{material.changes} times"))
    return rows


def _split(material: Material) -> str:
    share, seed = (material.data.get(name, "-") for name in ("val_fraction", "seed"))
    return f"{share} of the training samples, seed {seed}"


def _study(material: Material) -> str:
    return "\n".join(
        f"{key}: {written(value)}" for key, value in dump_study(material.study).items()
    )
