"""The last reading of a watched run, beside its tables: what was said on closing is said again."""

from typing import Any

from limitcycle.errors import UserError
from limitcycle.reading.diagnosis import Diagnosis
from limitcycle.record import LoadedRun
from limitcycle.record.files import read_object
from limitcycle.record.parts import count_rows

DIAGNOSIS_FILE = "diagnosis.json"
_ANY_STEP = 2**62


def kept(run: Any) -> Diagnosis | None:
    """The reading that the folder of a watched ``run`` holds; None where it has to be made (again).

    It is older where another version made it, or rows came after it.

    Raises:
        UserError: its tables are damaged.
    """
    if not isinstance(run, LoadedRun) or run.run is not None:
        return None
    try:
        found = Diagnosis.from_dict(read_object(run.path / DIAGNOSIS_FILE))
    except UserError:
        return None
    return found if found.rows == count_rows(run.path / "steps", _ANY_STEP) else None
