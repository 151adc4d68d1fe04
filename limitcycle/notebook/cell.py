"""A place in a notebook that is written again and again."""

import sys
from typing import Any


class Cell:
    """One output of the current cell; elsewhere than in a notebook `shows` is false."""

    def __init__(self) -> None:
        self._handle: Any = None

    @property
    def shows(self) -> bool:
        """Whether this process is a notebook's kernel. IPython is asked only if it is there."""
        shell = sys.modules.get("IPython")
        running = None if shell is None else shell.get_ipython()
        return running is not None and hasattr(running, "kernel")

    def write(self, html: str) -> None:
        """Show ``html`` here, instead of what was here."""
        from IPython import display as shower

        made: Any = shower
        shown = made.HTML(html)
        if self._handle is None:
            self._handle = made.display(shown, display_id=True)
        else:
            self._handle.update(shown)
