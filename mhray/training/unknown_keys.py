"""Keys that nothing reads, refused with the names of those that are read.

Hydra refuses an override of a key that the config lacks, but what it says is for programmers. A key
that was added, with `+` or by a file of one's own, it takes: then the class for which it is meant
does not.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pkgutil import resolve_name
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mhray.errors import ConfigError, did_you_mean
from mhray.training.overrides import groups, options_of
from mhray.training.project import config_directory

KEYS_OF_A_RUN = (
    *("paths", "data", "model", "trainer", "logger", "tags", "seed", "workers", "per_worker"),
    *("select", "test", "ckpt_path", "changes"),
)
# What is read by name alone, with what can stand there.
_SECTIONS = {
    "select.": ("metric", "mode"),
    "per_worker.": ("cpus", "gpus", "memory", "elastic"),
    "": KEYS_OF_A_RUN,
}
_FROM_SETUP = ("params", "optimizer", "heads_config", "loss_weights")  # what a partial waits for


def refuse_stray_keys(config: DictConfig) -> None:
    """Refuse what was added to the keys of a run, to its selection or to a worker's share.

    Raises:
        ConfigError: of each such key, with the keys that there are.
    """
    problems = [
        _unknown(f"{section}{key}", str(key), known)
        for section, known in _SECTIONS.items()
        for key in _keys(OmegaConf.select(config, section.rstrip(".")) if section else config)
        if key not in known
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def unknown_key(error: OmegaConfBaseException, override: str) -> str:
    """What to say of an override, `path=value`, whose key the config lacks.

    Either what to write to have such a key, or the keys beside which it would stand.
    """
    path, key, beside = str(error.full_key), str(error.key), error.parent_node
    if remedy := _remedy(path, beside, override):
        return f"{override.partition('=')[0]}: {remedy}"
    if "." not in path:
        return _unknown(path, key, _words_of_a_run())
    return _unknown(path, key, options_of("logger") if path == f"logger.{key}" else _keys(beside))


def unknown_arguments(node: DictConfig, path: str) -> Iterator[str]:
    """What to say of each key below ``path`` that its node's ``_target_`` does not take.

    In the order in which Hydra meets them: what a node holds comes before the node.
    """
    own = {str(key): node.get(key) for key in node}
    for key, below in own.items():
        if isinstance(below, DictConfig):
            yield from unknown_arguments(below, f"{path}.{key}")
    takes = _parameters_of(own["_target_"]) if "_target_" in own else None
    if takes is not None:
        known = [name for name in takes if not (own.get("_partial_") and name in _FROM_SETUP)]
        for key in _keys(node):
            if key not in known:
                yield _unknown(f"{path}.{key}", key, known)


def _words_of_a_run() -> list[str]:
    """What an override of a run can begin with: its keys, and groups that leave none."""
    return list(dict.fromkeys((*KEYS_OF_A_RUN, *groups())))


def _keys(node: DictConfig | None) -> list[str]:
    """The keys of a node that are not Hydra's own, such as ``_target_``."""
    return [str(key) for key in node or () if not str(key).startswith("_")]


def _remedy(path: str, beside: Any, override: str) -> str:
    """What to write where a key is elsewhere, or comes with an option; empty if there is none."""
    typed, _, value = override.partition("=")
    if typed.startswith("scheduler."):
        return f"unknown key; write model.{override} with {_schedulers_with(typed)}"
    if path.startswith("model.scheduler.") and not beside:
        return f"there is no scheduler; write {_schedulers_with(typed)} with it"
    if path in (f"logger.{name}" for name in options_of("logger")):
        return f"this logger is not chosen; write {path.replace('.', '=')} with it"
    return "" if "." in path else _deeper(typed, value, list(_paths(beside)))


def _deeper(typed: str, value: str, paths: Sequence[str]) -> str:
    """What to write where a path was typed without its beginning, or nearly so."""
    longer = [path for path in paths if path.endswith(f".{typed}")]
    if longer:
        return f"unknown key; write {' or '.join(f'{path}={value}' for path in longer)}"
    if "." in typed or get_close_matches(typed, _words_of_a_run()):
        return ""
    close = get_close_matches(typed, [path.rpartition(".")[2] for path in paths], n=1)
    meant = [path for path in paths if close and path.endswith(f".{close[0]}")]
    return f"unknown key; did you mean {' or '.join(meant)}?" if meant else ""


def _schedulers_with(path: str) -> str:
    """The override that chooses a scheduler which has the last key of a path."""
    files = {
        name: config_directory() / "scheduler" / f"{name}.yaml" for name in options_of("scheduler")
    }
    key = path.rpartition(".")[2]
    having = [name for name, file in files.items() if key in _keys(OmegaConf.load(file).scheduler)]
    return " or ".join(f"scheduler={name}" for name in having or files if name != "none")


def _paths(node: Any, above: str = "") -> Iterator[str]:
    """The paths of all keys below a node, except for Hydra's own."""
    if isinstance(node, DictConfig):
        for key in _keys(node):
            if key != "hydra":
                yield f"{above}{key}"
                yield from _paths(node.get(key), f"{above}{key}.")


def _parameters_of(target: str) -> Mapping[str, inspect.Parameter] | None:
    """The parameters of a class or function, unless it takes all or none can be read."""
    try:
        takes = inspect.signature(resolve_name(target)).parameters
    except (ImportError, AttributeError, TypeError, ValueError):
        # Instantiating it says more of why.
        return None
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values())
    return None if takes_all else takes


def _unknown(path: str, key: str, known: Iterable[str]) -> str:
    words = list(known)
    hint = did_you_mean(key, words) if words else "none can be set there"
    return f"{path}: unknown key; {hint}"
