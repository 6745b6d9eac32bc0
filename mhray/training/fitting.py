"""Names and texts as MLflow takes them."""

import re
from collections.abc import Mapping, Sequence

# MLflow cuts longer ones without a word.
LONGEST_PARAM = 6000
LONGEST_TAG = 8000


def fitting_params(params: Mapping[str, str]) -> dict[str, str]:
    """Params whose names MLflow takes and whose values it does not cut by itself."""
    return {fitting_name(name): cut(value, LONGEST_PARAM) for name, value in params.items()}


def fitting_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags whose values are no longer than MLflow allows."""
    return {name: cut(value, LONGEST_TAG) for name, value in tags.items()}


def fitting_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics by names that MLflow takes."""
    return {fitting_name(name): float(value) for name, value in metrics.items()}


def best_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """What a best epoch reached, under names of its own; test metrics have only one value.

    >>> best_metrics({"val/acc_mean": 0.5, "train/loss": 1.0, "test/acc_mean": 0.4})
    {'best/val/acc_mean': 0.5, 'test/acc_mean': 0.4}
    """
    names = {"val/": "best/", "test/": ""}
    return {
        f"{before}{name}": value
        for name, value in fitting_metrics(metrics).items()
        for split, before in names.items()
        if name.startswith(split)
    }


def fitting_name(name: str) -> str:
    """The name with what MLflow refuses in one replaced.

    >>> fitting_name("+model.blocks[0]@deep")
    'model.blocks_0__deep'
    """
    return re.sub(r"[^A-Za-z0-9_./: -]", "_", name.lstrip("+"))


def note_of_run(noun: str, overrides: Sequence[str], line: str) -> str:
    """What a run says of itself, in Markdown: what it is, and the command that has it again."""
    listed, line = (cut(text, LONGEST_TAG // 2 - 100) for text in ("\n".join(overrides), line))
    said = f"Overrides of this {noun}:\n```text\n{listed}\n```"
    return f"{said}\n\nReproduce it:\n```sh\n{line}\n```"


def cut(text: str, longest: int) -> str:
    """The text, or its beginning and how long it was.

    >>> cut("a" * 100, 60)
    'aaaaaaaaaaaa ... (cut: 100 characters; whole in the journal)'
    """
    if len(text) <= longest:
        return text
    rest = f" ... (cut: {len(text)} characters; whole in the journal)"
    return text[: longest - len(rest)] + rest
