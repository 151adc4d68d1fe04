"""The lab: the paper's networks, data and training, fast, recorded at every step."""

from limitcycle.lab.cluster import Cluster, sweep_on
from limitcycle.lab.demo import demo_jobs
from limitcycle.lab.map import Map, map_plane
from limitcycle.lab.parallel import Job, Outcome, sweep, thread_budget
from limitcycle.lab.plane import Plane, plane_of
from limitcycle.lab.rehearsal import Rehearsal, rehearse
from limitcycle.lab.training import Progress, train

__all__ = [
    "Cluster",
    "Job",
    "Map",
    "Outcome",
    "Plane",
    "Progress",
    "Rehearsal",
    "demo_jobs",
    "map_plane",
    "plane_of",
    "rehearse",
    "sweep",
    "sweep_on",
    "thread_budget",
    "train",
]
