"""All figures of the paper, by number. A figure's module is imported when it is asked for."""

from importlib import import_module

from limitcycle.errors import UserError
from limitcycle.paper.experiment import Experiment

NUMBERS = tuple(range(1, 20))


def experiment(number: int) -> Experiment:
    """The figure ``number``.

    Raises:
        UserError: the paper has no such figure.
    """
    if number not in NUMBERS:
        raise UserError(f"the paper has figures {NUMBERS[0]} to {NUMBERS[-1]}, not {number}")
    found = import_module(f"limitcycle.paper.figures.figure{number:02}").FIGURE
    assert isinstance(found, Experiment)
    return found


def experiments(numbers: tuple[int, ...] = NUMBERS) -> list[Experiment]:
    """The figures ``numbers``, each once, in order; all of them if none is named."""
    return [experiment(number) for number in sorted(set(numbers or NUMBERS))]
