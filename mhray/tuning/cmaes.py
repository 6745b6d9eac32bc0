"""CMA-ES whose distribution is read from a journal without trusting it.

Optuna keeps the distribution in the journal as a pickle, and a pickle may call anything. A journal
may come from somebody else, so only what a distribution is made of is unpickled.
"""

import io
import pickle
from collections.abc import Sequence
from typing import Any

from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial
from typing_extensions import override

from mhray.errors import StorageError

# As cmaes 0.13 and NumPy 1 and 2 name it.
KNOWN = frozenset(
    {
        ("cmaes._cma", "CMA"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        *(
            (f"numpy.{core}.multiarray", name)
            for core in ("core", "_core")
            for name in ("scalar", "_reconstruct")
        ),
        # How protocol 4 and older ones write bytes.
        ("_codecs", "encode"),
    }
)


class CmaEs(CmaEsSampler):
    """Optuna's CMA-ES, but for how it reads its distribution."""

    @override
    def _restore_optimizer(self, completed_trials: Sequence[FrozenTrial]) -> Any:
        for trial in reversed(completed_trials):
            prefix = self._attr_key_optimizer
            pieces = {key: text for key, text in trial.system_attrs.items() if prefix in key}
            if pieces:
                return distribution_of(bytes.fromhex(self._concat_optimizer_attrs(pieces)))
        return None


def distribution_of(pickled: bytes) -> Any:
    """What Optuna's CMA-ES has pickled.

    Raises:
        StorageError: it asks for anything else than a distribution; nothing in it was called.
    """
    return _Distribution(io.BytesIO(pickled)).load()


class _Distribution(pickle.Unpickler):
    @override
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) not in KNOWN:
            raise StorageError(
                f"journal: what it holds of cmaes asks for {module_name}.{global_name}, which is "
                "no part of it; do not use a journal that you do not trust, or write another name"
            )
        return super().find_class(module_name, global_name)
