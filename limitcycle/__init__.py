"""Watch, explain and reproduce the periodic behaviour of training with weight decay.

Everything public is here and loads on first use: importing the package brings in neither torch nor
pandas nor plotly.
"""

import importlib
from typing import TYPE_CHECKING, Any

from limitcycle._version import __version__

if TYPE_CHECKING:
    from limitcycle.control import (
        decay_with_lr,
        hold_effective_lr,
        hold_norm,
        split_groups,
        without_radial,
    )
    from limitcycle.errors import RunError, UserError
    from limitcycle.integrations import LightningWatch, TransformersWatch
    from limitcycle.lab import train
    from limitcycle.notebook import plot, write_report
    from limitcycle.reading import Diagnosis, diagnose
    from limitcycle.record import LoadedRun, Run, load, load_all
    from limitcycle.symmetry import Symmetries, continued, leak_growth, symmetries
    from limitcycle.watching import Watch, watch

_HOME = {
    "Diagnosis": "limitcycle.reading",
    "LightningWatch": "limitcycle.integrations",
    "LoadedRun": "limitcycle.record",
    "Run": "limitcycle.record",
    "RunError": "limitcycle.errors",
    "Symmetries": "limitcycle.symmetry",
    "TransformersWatch": "limitcycle.integrations",
    "UserError": "limitcycle.errors",
    "Watch": "limitcycle.watching",
    "continued": "limitcycle.symmetry",
    "decay_with_lr": "limitcycle.control",
    "diagnose": "limitcycle.reading",
    "hold_effective_lr": "limitcycle.control",
    "hold_norm": "limitcycle.control",
    "leak_growth": "limitcycle.symmetry",
    "load": "limitcycle.record",
    "load_all": "limitcycle.record",
    "plot": "limitcycle.notebook",
    "split_groups": "limitcycle.control",
    "symmetries": "limitcycle.symmetry",
    "train": "limitcycle.lab",
    "watch": "limitcycle.watching",
    "without_radial": "limitcycle.control",
    "write_report": "limitcycle.notebook",
}

__all__ = [
    "Diagnosis",
    "LightningWatch",
    "LoadedRun",
    "Run",
    "RunError",
    "Symmetries",
    "TransformersWatch",
    "UserError",
    "Watch",
    "__version__",
    "continued",
    "decay_with_lr",
    "diagnose",
    "hold_effective_lr",
    "hold_norm",
    "leak_growth",
    "load",
    "load_all",
    "plot",
    "split_groups",
    "symmetries",
    "train",
    "watch",
    "without_radial",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'limitcycle' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
