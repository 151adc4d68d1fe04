"""One step → norm, gradient, effective learning rate, effective gradient, angle.

On the device a step leaves a handful of scalars (`step_scalars` of one flat vector, `InnerProducts`
of any tensors in groups); the columns of the record are made from them on the host, a block at a
time (`step_columns`, `measured_columns`).
"""

from limitcycle.measure.columns import measured_columns, step_columns
from limitcycle.measure.inner import InnerProducts
from limitcycle.measure.optimizers import (
    inner_optimizer,
    is_nested,
    is_partial,
    is_stepping,
    outer_optimizer,
    stepping_classes,
)
from limitcycle.measure.scalars import step_scalars
from limitcycle.measure.together import Moving, Together, schedule_free, together
from limitcycle.measure.turns import Turns

__all__ = [
    "InnerProducts",
    "Moving",
    "Together",
    "Turns",
    "inner_optimizer",
    "is_nested",
    "is_partial",
    "is_stepping",
    "measured_columns",
    "outer_optimizer",
    "schedule_free",
    "step_columns",
    "step_scalars",
    "stepping_classes",
    "together",
]
