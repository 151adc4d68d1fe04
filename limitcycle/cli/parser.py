"""The parser of the command line: complaints are one line and say what was probably meant."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from limitcycle.checks import one_line
from limitcycle.errors import did_you_mean


class _Layout(argparse.HelpFormatter):
    """Options in a column that leaves room for what they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


class Parser(argparse.ArgumentParser):
    """An argument parser that knows its verbs.

    Attributes:
        verbs: name → the parser of the verb; none in a verb's own.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": _Layout, **settings})
        self.verbs: dict[str, Parser] = {}

    def error(self, message: str) -> NoReturn:
        """Complain in one line; exit code 2."""
        self.exit(2, f"limitcycle: {one_line(message)} (see {self.prog} --help)\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print, as argparse does, but without passing over a failure."""
        if message:
            (file or sys.stderr).write(message)

    def refuse_early(self, given: Sequence[str]) -> None:
        """Complain of a verb or an option that is none, before argparse misses something else.

        Left to itself it would say of ``train --otu x`` that --out is missing. And it would take
        the last value of an option that is given twice without a word.
        """
        seen: set[str] = set()
        for at, text in enumerate(given):
            if text == "--":
                return
            if text.startswith("-"):
                self._refuse_dashes(text)
                if not self._knows(text):
                    name, known = text.partition("=")[0], self._option_string_actions
                    self.error(f"unknown option {name!r}{did_you_mean(name, known)}")
                self._refuse_twice(text, seen)
            elif self.verbs:
                if text not in self.verbs:
                    meant = did_you_mean(text, self.verbs) or ": choose of " + ", ".join(self.verbs)
                    self.error(f"unknown verb {text!r}{meant}")
                self.verbs[text].refuse_early(given[at + 1 :])
                return

    def _refuse_twice(self, text: str, seen: set[str]) -> None:
        """Refuse an option with a value that is among ``seen``; add it to them."""
        option = self._option(text)
        if option is None or option.nargs == 0:  # a flag says the same twice
            return
        name = option.option_strings[-1]
        if name in seen:
            several = option.nargs in ("+", "*")
            instead = f"several values follow one {name}" if several else "give it once"
            self.error(f"{name} is given twice: {instead}")
        seen.add(name)

    def _option(self, text: str) -> argparse.Action | None:
        """The option that ``text`` is or begins; None: no option, or one of several."""
        name, options = text.partition("=")[0], self._option_string_actions
        if name in options:
            return options[name]
        begun = [option for option in options if option.startswith(name)]
        return options[begun[0]] if name.startswith("--") and len(begun) == 1 else None

    def _refuse_dashes(self, text: str) -> None:
        """Refuse ``--option=--``, of which argparse loses the value, and itself with it."""
        name, _, value = text.partition("=")
        if value == "--":
            self.error(f"argument {name}: expected a value, not --")

    def _knows(self, text: str) -> bool:
        """Whether ``text`` is an option, the beginning of one, or a value that begins with "-"."""
        if text == "-" or " " in text:
            return True
        with contextlib.suppress(ValueError):
            float(text)
            return True
        name, options = text.partition("=")[0], self._option_string_actions
        return name in options or (
            name.startswith("--") and any(option.startswith(name) for option in options)
        )
