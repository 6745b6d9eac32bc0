"""What a person types as overrides, and what Hydra is told.

Two things that people type Hydra takes for something else: loss weights of heads, which no config
lists, and ``null`` for an option of a group, which it cannot even refuse in words.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from mhray.errors import did_you_mean
from mhray.training.project import config_directory

LOSS_WEIGHTS = "model.loss_weights."

_NO_WORD = re.compile(r"(?<=[=,\[\s])(null|true|false|[\d.]+)(?=[,\]\s]|$)", re.IGNORECASE)


def as_hydra_override(override: str) -> str:
    """An override as Hydra wants it.

    Loss weights of heads are additions, since no config lists heads. An option of a group is a
    word, so that Hydra can say that there is none of this name.

    >>> as_hydra_override("model.loss_weights.left=2.0")
    '++model.loss_weights.left=2.0'
    >>> as_hydra_override("scheduler=null")
    "scheduler='null'"
    >>> as_hydra_override("trainer.max_epochs=1")
    'trainer.max_epochs=1'
    """
    if override.startswith(LOSS_WEIGHTS):
        return f"++{override}"
    if is_group(re.split("[=@]", override)[0]):
        return _NO_WORD.sub(r"'\1'", override)
    return override


def as_typed(override: str) -> str:
    """The override that :func:`as_hydra_override` was given.

    >>> as_typed("++model.loss_weights.left=2.0")
    'model.loss_weights.left=2.0'
    >>> as_typed("++trainer.profiler=simple")
    '++trainer.profiler=simple'
    """
    return override.removeprefix("++") if LOSS_WEIGHTS in override else override


def refused_by_hydra(message: str, overrides: Sequence[str]) -> str:
    """The override of which Hydra says that its key is not there, as typed but for a `+`.

    >>> refused_by_hydra("Could not override 'sed'.", ["test=true", "sed=3"])
    'sed=3'
    """
    _, key, *_ = [*message.split("'"), ""]
    plain = [override.lstrip("+~") for override in overrides]
    return next((override for override in plain if override.partition("=")[0] == key), key)


def no_option(name: str, options: Sequence[str]) -> str:
    """What to say of `group/option` if the group has no such option.

    >>> no_option("scheduler/null", ["none", "step"])
    'scheduler: null is no option; write scheduler=none (one of: none, step)'
    >>> no_option("model/vitt", ["my_cnn", "my_vit"])
    'model: vitt is no option; did you mean my_vit? (one of: my_cnn, my_vit)'
    """
    group, _, option = name.rpartition("/")
    listing = f"one of: {', '.join(options)}"
    if not _NO_WORD.fullmatch(f"={option}", 1):
        hint = did_you_mean(option, options)
        if hint == listing and (closest := _of_a_part(option, options)):
            hint = f"did you mean {closest}? ({listing})"
    else:
        hint = f"write {group}=none ({listing})" if "none" in options else f"write {listing}"
    return f"{group}: {option} is no option; {hint}"


def _of_a_part(word: str, options: Sequence[str]) -> str:
    """The first option that has a part like a word, as cifar100mh_vit has vit; empty if none."""
    parts = [part for option in options for part in option.split("_")]
    closest = get_close_matches(word, parts, n=1)
    return next((option for option in options if closest and closest[0] in option.split("_")), "")


def is_group(name: str) -> bool:
    """Whether a name is one of the shipped groups.

    >>> is_group("scheduler"), is_group("seed")
    (True, False)
    """
    return name.isidentifier() and (config_directory() / name).is_dir()


def groups() -> list[str]:
    """The shipped groups.

    >>> groups()[:3]
    ['data', 'experiment', 'logger']
    """
    return sorted(path.name for path in config_directory().iterdir() if path.is_dir())


def options_of(group: str) -> list[str]:
    """The options of a shipped group.

    >>> options_of("scheduler")
    ['cosine', 'none', 'plateau', 'step']
    """
    return sorted(path.stem for path in (config_directory() / group).glob("*.yaml"))
