"""Which steps of several optimizers make one turn of all.

In a turn no optimizer steps twice, and they step in their order: that in which they were first
seen. So a turn ends where one begins that has stepped already, or that comes before one that has.
It serves optimizers that step less often (every k-th turn), several times for one step of another
(a critic), or that leave out a turn (a scaler that found infinities).
"""


class Turns:
    """Counts nobody's steps, but says where a turn begins and whether it is complete.

    Args:
        count: number of optimizers.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._order: list[int] = []
        self._last: int | None = None  # that began a step in this turn

    def begins(self, member: int) -> bool:
        """Whether a turn begins with the step that ``member`` is about to make."""
        last, self._last = self._last, member
        if member not in self._order:
            behind = 0 if last is None else self._order.index(last) + 1
            self._order.insert(behind, member)
            return last is None
        return last is None or self._order.index(member) <= self._order.index(last)

    @property
    def complete(self) -> bool:
        """Whether nobody can join this turn any more."""
        if self._last is None or len(self._order) < self._count:
            return False
        return self._last == self._order[-1]
