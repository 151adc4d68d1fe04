"""Arithmetic of a chosen width with vanishing eps, for any forward pass and without touching it.

A scaling symmetry of a normalised network is exact only where the eps of its normalisations is
negligible, and is told from a near miss only with digits to spare. Both are properties of the
arithmetic, not of the modules, so they are set where torch's functions are called: requests for any
float type are answered with the chosen one, and the small constant that a normalisation adds to its
denominator, wherever it comes from (an attribute, a configuration, a literal), becomes `TINY`.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import embedding
from torch.overrides import TorchFunctionMode

TINY = 1e-14  # below 1e-20 a constant channel would divide rounding errors by each other
LARGEST_EPS = 1e-3
FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
COMPLEX = {torch.complex64, torch.complex128}
CASTS = {"float", "half", "bfloat16", "double"}
SHIFTS = {"add", "add_", "__add__", "__radd__", "__iadd__"}
SHIFTS |= {"clamp", "clamp_", "clamp_min", "clamp_min_", "clip", "maximum"}
FEWEST_VALUES = 3
CENTRED = {"batch_norm", "instance_norm", "group_norm", "layer_norm"}
NORMS = CENTRED | {"rms_norm"}
UNTRUE = ("padding_idx", "scale_grad_by_freq", "sparse")  # what bends an embedding's gradient
SHAPE = "normalized_shape"


class Arithmetic(TorchFunctionMode):
    """While active, torch computes in ``dtype`` with eps = `TINY`, and statistics are noted.

    Args:
        dtype: float32 or float64.
        dropout: False leaves it out.

    Attributes:
        running_statistics: a normalisation used running statistics instead of its batch's.
        few_values: over how many values a mean and a variance were taken, where they are so few
            that centring and scaling leaves only signs; else None.
    """

    def __init__(self, dtype: torch.dtype, *, dropout: bool = True) -> None:
        super().__init__()
        self.dtype, self.dropout = dtype, dropout
        self.running_statistics = False
        self.few_values: int | None = None

    def __enter__(self) -> Self:
        self._default_dtype = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *problem: Any) -> None:
        super().__exit__(*problem)  # type: ignore[no-untyped-call]
        torch.set_default_dtype(self._default_dtype)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name, kwargs = getattr(func, "__name__", ""), dict(kwargs or {})
        if name in CASTS and args and isinstance(args[0], Tensor) and not args[0].is_complex():
            return args[0].to(self.dtype)
        if "dropout" in name and args and not self.dropout:
            return args[0]
        if "dropout_p" in kwargs and not self.dropout:
            kwargs["dropout_p"] = 0.0
        if name == "embedding":
            args, kwargs = _with_true_gradient(func, args, kwargs)
        if name in CENTRED and args:
            self._note_statistics(name, args, kwargs)
        if name in NORMS:
            args, kwargs = _with_tiny_eps(args, kwargs)
        shrink = name in SHIFTS or "norm" in name
        args = tuple(self._changed(value, shrink) for value in args)
        kwargs = {
            key: self._changed(value, shrink or "eps" in key) for key, value in kwargs.items()
        }
        return func(*args, **kwargs)

    def _note_statistics(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Read a functional normalisation's arguments: x, then what the name goes by."""
        own = {"batch_norm": "training", "instance_norm": "use_input_stats"}.get(name)
        if own and not kwargs.get(own, args[5] if len(args) > 5 else name == "instance_norm"):
            self.running_statistics = True
            return
        second = args[1] if len(args) > 1 else kwargs.get("num_groups", kwargs.get(SHAPE))
        values = _values_together(name, args[0].shape, second)
        if values < FEWEST_VALUES:
            self.few_values = values

    def _changed(self, value: Any, shrink: bool) -> Any:
        if isinstance(value, torch.dtype):
            wide = self.dtype.to_complex() if value in COMPLEX else value
            return self.dtype if value in FLOATS else wide
        if shrink and isinstance(value, float) and 0 < value <= LARGEST_EPS:
            return TINY
        return value


def _with_tiny_eps(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A normalisation's arguments with eps = `TINY`, however large it is: their last float."""
    floats = [place for place, value in enumerate(args) if isinstance(value, float)]
    if "eps" in kwargs or not floats:
        return args, kwargs | ({"eps": TINY} if kwargs.get("eps") else {})
    last = floats[-1]
    return (*args[:last], TINY, *args[last + 1 :]), kwargs


def _with_true_gradient(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """An embedding's arguments without what makes its gradient differ from its derivative."""
    plain = (None if func is embedding else -1, False, False)
    bent = dict(zip(UNTRUE, plain, strict=True))
    kwargs = {key: bent.get(key, value) for key, value in kwargs.items()}
    return (*args[:2], *plain[: len(args) - 2]), kwargs


def _values_together(name: str, shape: torch.Size, second: Any) -> int:
    """How many values share a mean and a variance in an input of ``shape``."""
    if name == "batch_norm":
        return math.prod(shape) // max(shape[1], 1)
    if name == "instance_norm":
        return math.prod(shape[2:])
    if name == "group_norm":
        return math.prod(shape[1:]) // int(second)
    return math.prod(second)
