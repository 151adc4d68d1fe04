"""What of a reading must not change with the table."""

import numpy as np


def wide(table):
    """In float64, as transforms of float32 would round."""
    return table.astype({"loss": np.float64})


def jumps(found):
    return found.label, found.events["start"].tolist(), found.events["recovery"].tolist()


def spikes(found):
    return found.spikes[["start", "peak", "recovery", "jump"]].to_numpy().tolist()
