"""What the lower layers show is made by upper ones, imported when it is asked for.

A notebook asks the object in a cell how it looks. A run is of `record`, but its picture needs
`reading` and `report`, which lie above it. So the object knows the name of its picture's maker and
no more. This, and the package's own face, are the only places where an import points up.
"""

import importlib
from typing import Any


def late(module: str, name: str) -> Any:
    """``name`` of ``limitcycle.module``, imported now."""
    return getattr(importlib.import_module(f"limitcycle.{module}"), name)
