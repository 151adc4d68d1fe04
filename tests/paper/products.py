"""Records of Figures 13 and 14 made by hand: two products, three ratios."""

import numpy as np
import pandas as pd

from limitcycle.paper.questions.products import labels
from limitcycle.paper.scale import QUICK
from tests.paper.records import evidence, made
from tests.reading.series import Oscillator, quiet

SAME = (1.0, 1.0, 1.0)
# By ratio, the largest learning rate first: how far the norm falls first (log), and how long.
FALLS = (0.1, 0.8, 1.6)
LENGTHS = (0.4, 1.0, 2.0)


def ratios(
    periods=SAME, low=SAME, norm=SAME, errors=(0.01, 0.01, 0.01), lengths=LENGTHS, falls=FALLS
):
    """Evidence whose ratios differ by these factors of period, lowest loss and norm."""
    records = {}
    for product, names in labels(QUICK).items():
        for at, name in enumerate(names):
            lr, decay = (float(part.split("=")[1]) for part in name.split(","))
            frame = _frame(round(0.5 * periods[at] / product), 1e-3 * low[at], falls[at],
                           round(lengths[at] / product))  # fmt: skip
            frame["norm"] *= norm[at] * np.sqrt(lr)
            records[name] = made(frame, lr=lr, weight_decay=decay, test_error=errors[at])
    return evidence(**records)


def _frame(period, low, fall, length):
    """A descent of ``length`` rows in which log ρ falls by ``fall``, then a saw-tooth."""
    head = quiet(rows=length, loss=(2.3, low), fall=fall)
    teeth, _ = Oscillator(period=period, low=low, periods=10).run()
    head["norm"] *= teeth["norm"].iloc[0] / head["norm"].iloc[-1]
    frame = pd.concat([head, teeth], ignore_index=True)
    return frame.assign(step=np.arange(len(frame)))
