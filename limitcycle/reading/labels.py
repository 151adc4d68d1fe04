"""The labels, and how each is shown: the one table of them.

What is said of a label is in `words`. Both are complete, or mypy complains.
"""

from typing import Literal, NamedTuple, assert_never, get_args

Label = Literal["periodic", "equilibrium", "stuck", "converging", "diverged", "unknown"]
LABELS: tuple[Label, ...] = get_args(Label)


class Look(NamedTuple):
    """How a label is shown: its colour in pictures, its letter and style in a terminal."""

    colour: str
    letter: str
    style: str


def look(label: Label) -> Look:
    """How ``label`` is shown."""
    match label:
        case "periodic":
            return Look("#6BAED6", "P", "bold blue")
        case "equilibrium":
            return Look("#74C09A", "E", "green")
        case "stuck":
            return Look("#E8956B", "S", "red")
        case "converging":
            return Look("#CFE3F1", "C", "cyan")
        case "diverged":
            return Look("#8C7AA9", "D", "magenta")
        case "unknown":
            return Look("#D9C9A3", "?", "dim")
        case _:
            assert_never(label)
