"""What an answer of `symmetries` depends on besides the weights' values, as a short text.

Two models of the same fingerprint have the same symmetries: the same tree of modules with the same
settings and tensors, run by the same code. Code is taken as it is in force, from the functions
themselves: so an edited file, a patched class and a patched instance all tell. Where something
is met of which it cannot be told what it does, there is no fingerprint.
"""

import contextlib
import functools
import hashlib
import sys
from collections.abc import Iterable
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

_PLAIN = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    type(Ellipsis),
    torch.dtype,
    torch.Size,
)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_OF_PYTHON = ("__annotations__", "__firstlineno__", "__module__", "__static_attributes__")
_OF_TORCH = frozenset(vars(nn.Module())) | {"_is_full_backward_hook"}


class _UnknownError(Exception):
    """Something of which it cannot be told what it does."""


def fingerprint(model: nn.Module) -> str | None:
    """Of ``model`` and of the code that runs it and asks it; None where there is none.

    The code is that of the modules' classes and of all else in the files that define them, of
    what it calls by name outside of torch and Python, of torch's functions, and of
    `limitcycle.symmetry`. Settings are plain values, and containers of such.
    """
    told = _Told()
    try:
        told.say(torch.__version__, sys.version)
        for name, module in model.named_modules():
            told.say(name)
            _say_module(told, module)
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            told.say(name, tuple(tensor.shape), tensor.dtype, tensor.requires_grad)
        for home in _homes(model):
            told.namespace(home)
    except _UnknownError:
        return None
    return told.digest.hexdigest()[:32]


def _say_module(told: "_Told", module: nn.Module) -> None:
    """A module's class, settings and mode; what hangs on it from outside cannot be told."""
    kind = type(module)
    if not isinstance(kind.forward, FunctionType) or any(getattr(module, h) for h in _HOOKS):
        raise _UnknownError
    told.say(f"{kind.__module__}.{kind.__qualname__}", module.extra_repr(), module.training)
    for name, value in sorted(vars(module).items()):
        if name not in _OF_TORCH and not isinstance(value, Tensor | nn.Module):
            told.say(name)
            told.value(value)


def _homes(model: nn.Module) -> list[ModuleType]:
    """The Python modules that define the model's classes, torch's functions and this package."""
    kinds = {base for module in model.modules() for base in type(module).__mro__}
    names = {kind.__module__ for kind in kinds - {object, nn.Module}}
    names |= {name for name in sys.modules if name.startswith("limitcycle.symmetry")}
    names.add("torch.nn.functional")
    found = [sys.modules.get(name) for name in sorted(names - {"builtins", "typing", "abc"})]
    if None in found:
        raise _UnknownError
    return [home for home in found if home is not None]


class _Told:
    """All that was said, as a digest that is the same in every process."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self._seen: set[int] = set()

    def say(self, *words: object) -> None:
        """Take in words; ``repr`` of each has to be the same in every process."""
        for word in words:
            self.digest.update(repr(word).encode() + b"\n")

    def namespace(self, home: ModuleType) -> None:
        """All functions, classes and constants of a Python module."""
        self.say(home.__name__)
        for name, value in sorted(vars(home).items()):
            if isinstance(value, type) and value.__module__ == home.__name__:
                self.say(name)
                self._class(value)
            elif isinstance(value, FunctionType) or (_is_setting(value) and name[:2] != "__"):
                self.say(name)
                self.value(value)

    def value(self, value: Any) -> None:
        """A setting of a module: plain, a container of such, or a function."""
        if _is_plain(value):
            self.say(value)
        elif isinstance(value, tuple | list):
            self._each(value)
        elif isinstance(value, set | frozenset):
            self.say(*sorted(map(repr, value)))
        elif isinstance(value, dict):
            self._each(value)
            self._each(value.values())
        elif isinstance(value, functools.partial):
            self._each((value.func, value.args, value.keywords))
        elif isinstance(value, MethodType):
            self.value(value.__func__)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, CodeType):
            self._code(value)
        elif isinstance(value, type) or callable(value):  # C's are torch's or Python's, by version
            self.say(getattr(value, "__qualname__", type(value).__qualname__))
        elif not isinstance(value, Tensor | nn.Module):  # these are told of where they hang
            raise _UnknownError

    def _each(self, values: Iterable[Any]) -> None:
        self.say("(")
        for value in values:
            self.value(value)
        self.say(")")

    def _class(self, kind: type) -> None:
        for name, member in sorted(vars(kind).items()):
            inner = getattr(member, "__func__", getattr(member, "fget", member))
            if isinstance(inner, FunctionType) or (_is_setting(inner) and name not in _OF_PYTHON):
                self.say(name)
                self.value(inner)

    def _function(self, function: FunctionType) -> None:
        if id(function) in self._seen:
            return
        self._seen.add(id(function))
        self._code(function.__code__)
        kept = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # one that was never filled holds nothing
                kept.append(cell.cell_contents)
        for value in (*kept, *_named(function)):
            if isinstance(value, FunctionType) or _is_setting(value):
                self.value(value)

    def _code(self, code: CodeType) -> None:
        self.say(code.co_code, code.co_names, code.co_varnames)
        self._each(code.co_consts)


def _named(function: FunctionType) -> list[Any]:
    """What a function takes from its file and from modules by name, but for torch and Python."""
    names, home = set(_names(function.__code__)), function.__globals__
    found = [home[name] for name in sorted(names & home.keys())]
    for module in [each for each in found if isinstance(each, ModuleType) and _is_foreign(each)]:
        found += [vars(module)[name] for name in sorted(names & vars(module).keys())]
    return [value for value in found if _is_foreign(value)]


def _names(code: CodeType) -> list[str]:
    """The names that a piece of code uses, and those of the functions inside of it."""
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return [*code.co_names, *(name for each in inner for name in _names(each))]


def _is_foreign(value: object) -> bool:
    """Whether it comes neither with torch nor with Python, whose versions are told."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
    home = str(name).partition(".")[0]
    return home != "torch" and home not in sys.stdlib_module_names


def _is_setting(value: object) -> bool:
    """Whether it is a plain value or holds nothing but such; a namespace may hold anything."""
    if isinstance(value, dict):
        return all(map(_is_setting, (*value, *value.values())))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_setting, value))
    return _is_plain(value)


def _is_plain(value: object) -> bool:
    return isinstance(value, _PLAIN)
