"""Borrow a model and give it back as it was, whatever happens in between."""

import contextlib
import dis
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.utils.checkpoint
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
MOST_ENTRIES = 1_000  # of a container that is looked into
# Of a function's code: what computes nothing.
_NO_STEPS = ("RESUME", "COPY_FREE_VARS", "PUSH_NULL", "CACHE", "NOP", "PRECALL", "KW_NAMES")
# What returns None, and so does a lambda that calls it last: ``lambda *_: seen.append(1)``.
_SILENT = ("append", "appendleft", "extend", "insert", "add", "update", "clear", "print", "write")


def unwrapped(model: nn.Module) -> nn.Module:
    """The user's own module inside wrappers that add only a prefix to its names."""
    inner: object = model
    if isinstance(model, DataParallel | DistributedDataParallel):
        inner = model.module
    elif isinstance(getattr(model, "_orig_mod", None), nn.Module):
        inner = model._orig_mod
    return model if inner is model or not isinstance(inner, nn.Module) else unwrapped(inner)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trainable tensors by the names of the user's own module, a tied one once."""
    named = unwrapped(model).named_parameters()
    return {plain_name(name): p for name, p in named if p.requires_grad}


def plain_name(name: str) -> str:
    """A tensor's name in the user's own module, without what wrappers put into it."""
    for added in ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."):
        name = name.replace(added, "")
    return name


@contextlib.contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Restore, on leaving, every module's attributes and the random states.

    Covers what a forward pass may leave behind: attributes set on modules (also the tables of
    parameters and buffers, and the mode), what lists, dictionaries, sets, generators and tensors
    among them hold, and the states of torch's, NumPy's and Python's generators. Gradients are
    recorded inside, whatever the caller's mode; compiled forward passes run uncompiled,
    checkpointed ones in one piece, hooks that only listen are not called.
    """
    tables = [table for module in model.modules() for table in _tables(module)]
    copies = [dict(table) for table in tables]
    undo = [step for module in model.modules() for step in _restorers(_own(module))]
    undo += [step for module in model.modules() for step in _restorers(_scripted(module))]
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's state
    with (
        torch.random.fork_rng(devices),
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        _in_one_piece(),
    ):
        try:
            for module in model.modules():
                module.__dict__.pop("_compiled_call_impl", None)
                _leave_out_listeners(module)
            yield
        finally:
            for table, content in zip(tables, copies, strict=True):
                table.clear()
                table.update(content)
            for restore in undo:
                restore()
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


def _leave_out_listeners(module: nn.Module) -> None:
    """Take away the hooks that return nothing: they can only look on, and would look at ours."""
    for name in _HOOKS:
        table = module.__dict__.get(name)
        if table:
            kept = {key: hook for key, hook in table.items() if not _returns_nothing(hook)}
            module.__dict__[name] = OrderedDict(kept)


def _returns_nothing(hook: Any) -> bool:
    """Whether a Python function has no other way out than to return None."""
    while isinstance(hook, partial):
        hook = hook.func
    code = getattr(getattr(hook, "__func__", hook), "__code__", None)
    if code is None:  # an object that can be called
        code = getattr(vars(type(hook)).get("__call__"), "__code__", None)
    if code is None or _is_of_torch(hook):
        return False
    before: dis.Instruction | None = None
    steps = [step for step in dis.get_instructions(code) if step.opname not in _NO_STEPS]
    if _is_silent_call(steps):
        return True
    for instruction in steps:
        if instruction.opname == "RETURN_CONST" and instruction.argval is not None:
            return False
        if instruction.opname == "RETURN_VALUE" and not _loads_none(before):
            return False
        before = instruction
    return True


def _is_silent_call(steps: list[dis.Instruction]) -> bool:
    """Whether a function is one call of something that returns None: `seen.append(x.norm())`.

    What is called is loaded first, and called last.
    """
    called = ""
    for step in steps:
        is_first = not called and step.opname.startswith("LOAD_")
        if not is_first and step.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
            break
        called = str(step.argval)
    if called not in _SILENT or len(steps) < 2:
        return False
    last, end = steps[-2:]
    one_way = not any("JUMP" in step.opname or "RAISE" in step.opname for step in steps)
    return one_way and last.opname.startswith("CALL") and end.opname == "RETURN_VALUE"


def _is_of_torch(hook: Any) -> bool:
    """Whether it is one of torch's own, which may compute a weight in place."""
    homes = getattr(hook, "__module__", ""), type(hook).__module__
    return any(str(home or "").startswith("torch.") for home in homes)


def _loads_none(instruction: dis.Instruction | None) -> bool:
    return (
        instruction is not None
        and instruction.opname == "LOAD_CONST"
        and instruction.argval is None
    )


def _own(module: nn.Module) -> list[object]:
    """What the user has set on a module; tables of parameters, modules and hooks are torch's."""
    torchs = vars(nn.Module())
    return [value for name, value in vars(module).items() if name not in torchs]


def _scripted(module: nn.Module) -> list[object]:
    """Buffers that a scripted part changes where they lie, because no others can be put there."""
    return list(module.buffers()) if isinstance(module, torch.jit.ScriptModule) else []


def _restorers(values: Iterable[object], depth: int = 3) -> Iterator[Callable[[], object]]:
    """How to bring back what is changed in place: containers, generators, tensors."""
    for value in values:
        if isinstance(value, list | dict | set):
            yield partial(_refill, value, copy(value))
            inside = value.values() if isinstance(value, dict) else value
            if depth and len(value) <= MOST_ENTRIES:
                yield from _restorers(list(inside), depth - 1)
        elif isinstance(value, torch.Generator):
            yield partial(value.set_state, value.get_state())
        elif isinstance(value, np.random.Generator):
            yield partial(setattr, value.bit_generator, "state", value.bit_generator.state)
        elif isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
            if value.layout == torch.strided and not value.is_meta:
                yield partial(_set, value, value.detach().clone())
        elif isinstance(value, np.ndarray):
            yield partial(np.copyto, value, value.copy())


def _refill(container: Any, content: Any) -> None:
    container.clear()
    container.extend(content) if isinstance(container, list) else container.update(content)


def _set(tensor: torch.Tensor, content: torch.Tensor) -> None:
    if tensor.shape == content.shape:
        with torch.no_grad():
            tensor.detach().copy_(content)


def seed_all(seed: int) -> None:
    """Set every generator that a forward pass may draw from without being handed one."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - a forward pass may draw from the legacy state


class _Straight:
    """Stands in for ``CheckpointFunction``."""

    @staticmethod
    def apply(function: Callable[..., Any], _preserve: bool, *args: Any) -> Any:
        return function(*args)


def _pause(*_args: Any, **_kwargs: Any) -> Iterator[None]:
    yield  # where the checkpointed function runs


@contextlib.contextmanager
def _in_one_piece() -> Iterator[None]:
    """Switch activation checkpointing off.

    It would run parts of the forward pass again during the backward pass, when the weights and the
    arithmetic of the probe are no longer in place.
    """
    home = vars(torch.utils.checkpoint)
    plain = {"CheckpointFunction": _Straight, "_checkpoint_without_reentrant_generator": _pause}
    former = {name: home[name] for name in plain}
    home.update(plain)
    try:
        yield
    finally:
        home.update(former)


def _tables(module: nn.Module) -> list[dict[str, object]]:
    tables = [module.__dict__, *(module.__dict__[key] for key in ("_parameters", "_buffers"))]
    return [table for table in tables if isinstance(table, dict)]  # a scripted part has others
