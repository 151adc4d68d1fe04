"""``limitcycle probe``: the scaling symmetries of a model that a function of the user's returns."""

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from torch import nn

from limitcycle.cli.voice import say
from limitcycle.errors import UserError
from limitcycle.symmetry import leak_growth, symmetries
from limitcycle.symmetry.progress import Late


def probe(options: argparse.Namespace) -> int:
    """Print which scalings change nothing, and why; exit code."""
    if options.per_channel and options.leak:
        raise UserError("--leak is told of whole tensors: leave out --per-channel")
    model, batch, loss = _made(options.target)
    per: Literal["tensor", "channel"] = "channel" if options.per_channel else "tensor"
    with _one_line(options.target, "the model's forward pass"):
        answer = symmetries(model, batch, loss, per=per, progress=Late(everywhere=True))
        growth = leak_growth(model, batch, answer, loss) if options.leak else None
    if options.json:
        content = answer.to_dict() | ({"leak_growth": growth.to_dict()} if growth else {})
        say(json.dumps(content))
        return 0
    say(str(answer))
    if growth is not None:
        say(f"\n{growth}")
    return 0


def _made(target: str) -> tuple[nn.Module, Any, Callable[[Any], Any] | None]:
    """Model, batch and loss from the function at ``package.module:function``."""
    made = _called(_found(target), target)
    parts = made if isinstance(made, tuple) else (made,)
    if not isinstance(parts[0], nn.Module) or len(parts) > 3:
        kind = type(parts[0]).__name__
        raise UserError(
            f"{target} returned {kind}: let it return (model, batch) or (model, batch, loss), "
            "where model is a torch.nn.Module"
        )
    if len(parts) == 1:
        raise UserError(
            f"{target} returned a model without a batch: let it return (model, batch), where batch "
            "is what the model is called with (tensor, tuple or mapping)"
        )
    loss = parts[2] if len(parts) == 3 else None
    if loss is not None and not callable(loss):
        raise UserError(f"{target}: the loss is no function of the model's output")
    return parts[0], parts[1], loss


def _found(target: str) -> Callable[[], Any]:
    """The function, its module imported as ``python`` would do in the current folder."""
    name, colon, path = target.partition(":")
    if not (name and colon and path):
        raise UserError(f"{target}: write package.module:function")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    with _one_line(target, f"importing {name}"):
        found: Any = importlib.import_module(name)
    for part in path.split("."):
        if not hasattr(found, part):
            raise UserError(f"{target}: {name} has no {path}")
        found = getattr(found, part)
    if not callable(found):
        raise UserError(f"{target} is no function: {path} is of type {type(found).__name__}")
    function: Callable[[], Any] = found
    return function


def _called(function: Callable[[], Any], target: str) -> Any:
    if isinstance(function, nn.Module):
        return function
    with _one_line(target, "calling it"):
        return function()


@contextmanager
def _one_line(target: str, doing: str) -> Iterator[None]:
    """Errors of the user's code in one line, with the place in it."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as problem:
        text = " ".join(str(problem).split()) or "no message"
        where = _place(problem)
        kind = type(problem).__name__
        raise UserError(f"{target}: {doing} failed ({kind}: {text[:300]}){where}") from problem


def _place(problem: BaseException) -> str:
    """The last line of the traceback that lies below the current folder."""
    here, trace, place = Path.cwd(), problem.__traceback__, ""
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(here) and "site-packages" not in file.parts:
            place = f", at {file.relative_to(here)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
