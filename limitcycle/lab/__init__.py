"""The lab: the paper's networks, data and training, fast, recorded at every step."""

from limitcycle.lab.training import Progress, train

__all__ = ["Progress", "train"]
