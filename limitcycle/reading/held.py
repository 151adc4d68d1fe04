"""Whether something holds the norm now: then weight decay brings no jump nearer."""

import numpy as np

from limitcycle.reading import constants as c
from limitcycle.reading.decay import log_decay
from limitcycle.reading.series import Series


def is_held(series: Series) -> bool:
    """Whether the norm has stood still lately, though weight decay would have made it fall.

    False where learning rate or weight decay are not known.
    """
    if len(series) < c.MIN_ROWS or series.lr is None or series.weight_decay is None:
        return False
    product = float(series.lr[-1] * series.weight_decay[-1])
    rate = -log_decay(product, float(series.momentum[-1])) / series.steps_an_update
    if not rate > 0:
        return False
    since = series.step[-1] - c.HELD_DECAY / rate
    first = int(np.searchsorted(series.step, since))
    if first == 0 or len(series) - first < c.HELD_ROWS:
        return False
    return bool(np.ptp(series.log_norm[first:]) < c.HELD_REACH)
