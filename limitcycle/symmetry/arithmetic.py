"""Wide arithmetic with vanishing eps, for any forward pass and without touching the model.

A scaling symmetry of a normalised network is exact only where the eps of its normalisations is
negligible, and is told from a near miss only with digits to spare. Both are properties of the
arithmetic, not of the modules, so they are set where torch's functions are called: requests for a
narrow float type are answered with float64, and the small constant that a normalisation adds to its
denominator, wherever it comes from (an attribute, a configuration, a literal), becomes `TINY`.
"""

from collections.abc import Callable, Iterable
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

TINY = 1e-14  # below 1e-20 a constant channel would divide rounding errors by each other
LARGEST_EPS = 1e-3
NARROW = {torch.float16, torch.bfloat16, torch.float32}
NARROWING = {"float", "half", "bfloat16"}
SHIFTS = {"add", "add_", "__add__", "__radd__", "__iadd__"}
SHIFTS |= {"clamp", "clamp_", "clamp_min", "clamp_min_", "clip", "maximum"}
FEWEST_VALUES = 3


class WideArithmetic(TorchFunctionMode):
    """While active, torch computes in float64 with eps = `TINY`, and batch statistics are noted.

    Attributes:
        running_statistics: a normalisation used running statistics instead of its batch's.
        few_values: the fewest values over which batch statistics were taken, where they are so few
            that normalising leaves only signs; else None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.running_statistics = False
        self.few_values: int | None = None

    def __enter__(self) -> Self:
        self._default_dtype = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
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
        if name in NARROWING and args and isinstance(args[0], Tensor):
            return args[0].double()
        if name in ("batch_norm", "instance_norm"):
            self._note_statistics(name, args, kwargs)
        shrink = name in SHIFTS or "norm" in name
        args = tuple(_widened(value, shrink) for value in args)
        kwargs = {key: _widened(value, shrink or "eps" in key) for key, value in kwargs.items()}
        return func(*args, **kwargs)

    def _note_statistics(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Both functions take what says whether statistics are the batch's as sixth argument."""
        key = "training" if name == "batch_norm" else "use_input_stats"
        if not kwargs.get(key, args[5] if len(args) > 5 else name == "instance_norm"):
            self.running_statistics = True
        elif name == "batch_norm":
            values = args[0].numel() // max(args[0].shape[1], 1)
            if values < FEWEST_VALUES:
                self.few_values = values


def _widened(value: Any, shrink: bool) -> Any:
    if isinstance(value, torch.dtype):
        return torch.float64 if value in NARROW else value
    if shrink and isinstance(value, float) and 0 < value <= LARGEST_EPS:
        return TINY
    return value
