"""Which step it belongs to what a script says: the one before it, or the one after."""

from typing import Any

from limitcycle.watching.buffer import Row


class Attribution:
    """Counts the steps, and brings what is said to the row of the step that it is said of.

    What is said before a step belongs to it; in a script that says nothing before its first step,
    what is said after a step belongs to that.

    Args:
        every: steps between rows; of other steps nothing is kept.

    Attributes:
        step: calls of ``optimizer.step`` so far.
    """

    def __init__(self, every: int) -> None:
        self.step = 0
        self._every, self._origin = every, 0
        self._said: dict[str, list[Any]] = {}
        self._early: dict[str, list[Any]] = {}
        self._before: bool | None = None  # the script speaks before its steps; None: not known yet
        self._resting = False  # no step is under way, nothing that was said waits for its row
        self._row: Row | None = None
        self._is_read = False  # nothing can be added to the newest row any more

    @property
    def has_row(self) -> bool:
        """Whether the step to come has one."""
        return (self.step - self._origin) % self._every == 0

    @property
    def at_rest(self) -> bool:
        """Nothing at all is to be done about the step to come."""
        return self._resting and not self.has_row

    @property
    def is_kept(self) -> bool:
        """Whether what is said now is said of a step that has a row."""
        spoken_of = self.step - (0 if self._before is not False else 1)
        return (spoken_of - self._origin) % self._every == 0

    def space(self, every: int) -> None:
        """From this step, which has a row, there are so many steps to the next row."""
        self._every, self._origin = every, self.step

    def add(self, name: str, value: Any) -> None:
        """Take a value of the step that is spoken of now."""
        self._said.setdefault(name, []).append(value)

    def add_early(self, name: str, value: Any) -> None:
        """Take a value that was said before the model was called for the first time.

        It cannot be the loss of a step, so it does not say when the script speaks of its steps.
        """
        self._early.setdefault(name, []).append(value)

    def begin(self) -> None:
        """The first step is about to be made: now it is known when the script speaks."""
        self._before = bool(self._said)

    def open(self, row: Row) -> None:
        """The step to come has this row."""
        self._resting, self._row, self._is_read = False, row, False
        if self._before:
            row.logged, self._said = self._early | self._said, {}
            self._early = {}

    def pass_over(self) -> None:
        """The step to come has no row: nothing is kept of it."""
        self._said, self._early, self._resting = {}, {}, True

    def show(self) -> None:
        """Bring what was said so far to the newest row, of which more may be said."""
        if self._before is False and self._row is not None:
            self._row.logged = self._early | self._said

    def settle(self) -> list[str]:
        """What was said after the last step belongs to it; names of what came too late for that."""
        if self._before is not False:
            return []
        late = list(self._said) if self._row is None and self._is_read else []
        if self._row is not None:
            self._row.logged = self._early | self._said
            self._early, self._is_read = {}, True
        self._row, self._said = None, {}
        return late

    def withdraw(self) -> None:
        """The step has failed, its row is gone."""
        self._row = None
