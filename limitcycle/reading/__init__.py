"""What a run is doing: from its tables and settings to jumps, periods, forecast, advice, words.

- `data` is what comes in, whatever it comes from, `optimizers` what is known of these;
- `columns`, `series`, `decayed` make clean arrays of it, `turns`, `events`, `rest`, `stages`,
  `lock`, `forecast`, `rounding` find what is in them, by the thresholds in `constants`;
- `judge` puts that together as `findings`, `advice` says what follows, `words` says it in English;
- `foresight` holds what a forecast is made of, `live` makes one of a run that goes on;
- `diagnosis` is all of it as data, and `door` the one way to it: `diagnose`. `labels` is the one
  list of labels, `kept` the last reading of a watched run;
- `history` is a run as series against time, as pictures and claims use it, on a `clock`; `period`
  is one turn of it.

NumPy and frames alone: torch is never imported.
"""

from limitcycle.reading.advice import Advice
from limitcycle.reading.data import Readable, Recorded, RunData
from limitcycle.reading.diagnosis import Diagnosis
from limitcycle.reading.door import diagnose
from limitcycle.reading.findings import Findings
from limitcycle.reading.forecast import Forecast
from limitcycle.reading.labels import LABELS, Label, look
from limitcycle.reading.lock import EpochLock

__all__ = [
    "LABELS",
    "Advice",
    "Diagnosis",
    "EpochLock",
    "Findings",
    "Forecast",
    "Label",
    "Readable",
    "Recorded",
    "RunData",
    "diagnose",
    "look",
]
