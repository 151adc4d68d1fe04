"""How a command can end badly: two kinds, told apart by their exit codes."""


class UserError(ValueError):
    """The user's mistake: one line that says what, where and what to do (exit code 2)."""


class RunError(RuntimeError):
    """The run itself failed (disk full, non-finite loss); says what was kept (exit code 1)."""


class NonFiniteError(RunError):
    """The loss became infinite or NaN: the same run would end there again."""
