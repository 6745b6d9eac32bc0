"""What the weightings of a study's trials forbid: loss weights beside them, and weighted losses."""

from collections.abc import Iterator, Sequence

from mhray.errors import ConfigError
from mhray.heads import Head, heads_config
from mhray.models.trained_heads import trained_heads
from mhray.models.weighting import Weighting
from mhray.training.weighted_loss import why_incomparable
from mhray.tuning.left_out import Variant, searched_weights
from mhray.tuning.rules import Finding, metrics_of, weighing_paths, weighs
from mhray.tuning.space import walk
from mhray.tuning.study import Study
from mhray.tuning.world import MakeWeighting
from mhray.tuning.yaml_lines import Location

GROUP = "weighting"


def unfit_weightings(
    study: Study, found: Sequence[Variant], heads: Sequence[Head], make_weighting: MakeWeighting
) -> Iterator[Finding]:
    """Weightings that cannot be made, and metrics that they cannot be judged by; each once."""
    places: dict[str, Location] = {}
    incomparable: dict[Finding, None] = {}
    for variant in _deciding(study, found):
        trained, loss_weights = _weighed(study, variant, heads)
        # Without them as well: what else is wrong comes in the same message.
        for weights in (loss_weights, {}):
            try:
                weighting = make_weighting(variant.model, trained, weights)
            except ConfigError as error:
                places.setdefault(str(error), _place(study, variant))
            else:
                incomparable |= dict.fromkeys(_incomparable(study, weighting))
    yield from ((location, message) for message, location in places.items())
    yield from incomparable
    yield from () if incomparable else _weighted_otherwise(study, found)


def _deciding(study: Study, found: Sequence[Variant]) -> list[Variant]:
    """The variants that tell which weightings trials have, that of the base first."""
    if any(entry.path == GROUP and not entry.active for entry in walk(study.search)):
        drawn = f"{GROUP}="
        return [each for each in found if any(text.startswith(drawn) for text in each.options)]
    return sorted(found, key=lambda variant: bool(variant.options))


def _weighed(
    study: Study, variant: Variant, heads: Sequence[Head]
) -> tuple[dict[str, int], dict[str, float]]:
    """The classes of the heads that a variant trains, and the loss weights that it has."""
    classes = heads_config(heads)
    trained = {name: classes[name] for name in trained_heads(variant.train_heads, classes)}
    weights = dict.fromkeys(searched_weights(study, variant), 1.0)
    weights |= variant.model.get("loss_weights") or {}
    return trained, {name: weight for name, weight in weights.items() if name in trained}


def _place(study: Study, variant: Variant) -> Location:
    if variant.options:
        return variant.location
    return "base", *[path for path in study.base if weighs(path)][:1]


def _incomparable(study: Study, weighting: Weighting) -> Iterator[Finding]:
    """Metrics of the study that this weighting changes, unless a rule has refused them already."""
    for location, metric in metrics_of(study) if not weighing_paths(study) else ():
        if problem := why_incomparable(metric, weighting):
            yield location, problem


def _weighted_otherwise(study: Study, found: Sequence[Variant]) -> Iterator[Finding]:
    """A weighted loss, where files of a searched group weigh it one way and another."""
    first: dict[str, Variant] = {}
    for variant in found:
        weights = (variant.model.get("weighting"), variant.model.get("loss_weights"))
        first.setdefault(str(weights), variant)
    one, *others = first.values()
    if not others or weighing_paths(study):
        return
    reason = f"weighted otherwise under {_shown(others[0])} than under {_shown(one)}"
    for location, metric in metrics_of(study):
        if metric == "val/loss":
            remedy = "write val/acc_mean or val/<head>_loss"
            yield location, f"{metric} is {reason}, so that small weights win; {remedy}"


def _shown(variant: Variant) -> str:
    return " ".join(variant.options) or "base"
