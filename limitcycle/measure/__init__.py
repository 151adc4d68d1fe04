"""One step → norm, gradient, effective learning rate, effective gradient, angle.

On the device a step leaves a handful of scalars (`step_scalars`); the columns of the record are
made from them on the host, a block at a time (`step_columns`).
"""

from limitcycle.measure.columns import step_columns
from limitcycle.measure.scalars import step_scalars

__all__ = ["step_columns", "step_scalars"]
