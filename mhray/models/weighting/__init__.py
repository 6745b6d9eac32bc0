"""How the heads' losses become one number.

A weighting is made once the heads are known, from `heads_config`. To add one: subclass
`Weighting` or `WeightedSum` in a module of its own, name it here, and write a file in
`configs/weighting/`.
"""

from mhray.models.weighting.constant import (
    ClassCount,
    EqualWeighting,
    FixedWeighting,
    InverseLogClasses,
)
from mhray.models.weighting.dwa import DWA
from mhray.models.weighting.famo import FAMO
from mhray.models.weighting.rlw import RLW
from mhray.models.weighting.stch import STCH
from mhray.models.weighting.uncertainty import Uncertainty
from mhray.models.weighting.weighting import WeightedSum, Weighting, parameter_groups

__all__ = [
    "DWA",
    "FAMO",
    "RLW",
    "STCH",
    "ClassCount",
    "EqualWeighting",
    "FixedWeighting",
    "InverseLogClasses",
    "Uncertainty",
    "WeightedSum",
    "Weighting",
    "parameter_groups",
]
