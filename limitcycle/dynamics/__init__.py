"""From a table of a run to what the run does: destabilisations, periods, phases, verdict, words.

NumPy and frames alone. `diagnose` returns data; every sentence is made in `words`.
"""

from limitcycle.dynamics.advice import Advice, advise
from limitcycle.dynamics.decayed import decayed
from limitcycle.dynamics.judge import diagnose
from limitcycle.dynamics.lock import EpochLock
from limitcycle.dynamics.recorded import diagnose_run
from limitcycle.dynamics.verdict import LABELS, Verdict

__all__ = [
    "LABELS",
    "Advice",
    "EpochLock",
    "Verdict",
    "advise",
    "decayed",
    "diagnose",
    "diagnose_run",
]
