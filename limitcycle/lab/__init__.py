"""The lab: the paper's networks, data and training, fast, recorded at every step."""

from limitcycle.lab.cluster import Cluster, sweep_on
from limitcycle.lab.demo import demo_jobs
from limitcycle.lab.parallel import Job, Outcome, sweep
from limitcycle.lab.rehearsal import Rehearsal, rehearse
from limitcycle.lab.training import Progress, train

__all__ = [
    "Cluster",
    "Job",
    "Outcome",
    "Progress",
    "Rehearsal",
    "demo_jobs",
    "rehearse",
    "sweep",
    "sweep_on",
    "train",
]
