"""How a command can end badly: two kinds, told apart by their exit codes."""

from collections.abc import Iterable

_LONGEST_WORD = 40  # of those that are compared: more than any name has


class UserError(ValueError):
    """The user's mistake: one line that says what, where and what to do (exit code 2)."""


class RunError(RuntimeError):
    """The run itself failed (disk full, non-finite loss); says what was kept (exit code 1)."""


class NonFiniteError(RunError):
    """The loss became infinite or NaN: the same run would end there again."""


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """``": did you mean train?"`` for ``"trian"``; empty where nothing known is near."""
    if not isinstance(word, str):
        return ""
    from difflib import get_close_matches  # not needed until somebody errs

    plain = {name.lower().strip("-"): name for name in known}
    near = get_close_matches(word.lower().strip("-")[:_LONGEST_WORD], plain, n=1)
    return f": did you mean {plain[near[0]]}?" if near else ""
