"""From a table of a run to what the run does: destabilisations, periods, phases, verdict, words.

NumPy and frames alone. `diagnose` returns data; every sentence is made in `words`.
"""

from limitcycle.reading.advice import Advice, advise
from limitcycle.reading.decayed import decayed
from limitcycle.reading.judge import diagnose
from limitcycle.reading.lock import EpochLock
from limitcycle.reading.recorded import diagnose_run
from limitcycle.reading.verdict import LABELS, Verdict

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
