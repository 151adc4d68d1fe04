"""Refusals in the words of whoever typed: --train-size, where Python says train_size."""

import re
from collections.abc import Iterable

# What stands beside a name that is no setting's: the parts of paths, and values that are repeated.
_PART = r"[\w./='\"-]"


def as_typed(message: str, names: Iterable[str]) -> str:
    """``message`` with the names of options as they are typed, where that is another spelling.

    Where it is about a file of settings, the names are the file's and stay.

    Args:
        message: a refusal, or what went wrong.
        names: of the command's options, as Python spells them.
    """
    if ".json" in message:
        return message
    for name in names:
        if "_" in name:
            flag = "--" + name.replace("_", "-")
            message = re.sub(f"(?<!{_PART}){re.escape(name)}(?!{_PART})", flag, message)
    return message
