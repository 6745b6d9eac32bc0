"""Keys that nothing reads, refused with the names of those that are read.

Hydra refuses an override of a key that the config lacks, but what it says is for programmers. A key
that was added, with `+` or by a file of one's own, it takes: then the class for which it is meant
does not.
"""

import inspect
from collections.abc import Iterator
from pkgutil import resolve_name
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from mhray.errors import did_you_mean


def unknown_key(error: OmegaConfBaseException) -> str:
    """What to say of a key that the config lacks: its path, and the keys beside which it stands."""
    beside: Any = error.parent_node
    return _unknown(str(error.full_key), str(error.key), [key for key in beside if _is_own(key)])


def unknown_arguments(node: DictConfig, path: str) -> Iterator[str]:
    """What to say of each key below ``path`` that its node's ``_target_`` does not take.

    In the order in which Hydra meets them: what a node holds comes before the node.
    """
    own = {str(key): node.get(key) for key in node}
    for key, below in own.items():
        if isinstance(below, DictConfig):
            yield from unknown_arguments(below, f"{path}.{key}")
    if "_target_" in own:
        takes = inspect.signature(resolve_name(own["_target_"])).parameters
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in takes.values()):
            for key in own:
                if _is_own(key) and key not in takes:
                    yield _unknown(f"{path}.{key}", key, list(takes))


def _is_own(key: Any) -> bool:
    """Whether a key is not one of Hydra's, such as ``_target_``."""
    return not str(key).startswith("_")


def _unknown(path: str, key: str, known: list[Any]) -> str:
    hint = did_you_mean(key, map(str, known)) if known else "none can be set there"
    return f"{path}: unknown key; {hint}"
