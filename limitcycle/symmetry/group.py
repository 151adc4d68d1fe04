"""Tensors that scale together."""

from dataclasses import dataclass
from typing import Literal

Exponents = dict[str, float]
GroupKind = Literal["scale-invariant", "rescaling", "mixed", "dead"]


@dataclass(frozen=True)
class Group:
    """Tensors connected by scaling symmetries: w_i → α^{k_i} w_i leaves the function unchanged.

    Attributes:
        names: the tensors, in the model's order.
        generators: a basis of the null vectors k, each as name → exponent without zeros; smallest
            integers, sparse.
        exponents: the generator where there is one; else the smallest all-positive vector if the
            group has one; else None.
        kind: ``scale-invariant``: some vector has every exponent positive; ``rescaling``: no vector
            but zero is free of negative exponents; ``mixed``: neither; ``dead``: the output does
            not depend on the tensor.
        leak: ``|Σkᵢ⟨wᵢ, gᵢ⟩| / (√Σ‖kᵢwᵢ‖² · √Σ‖gᵢ‖²)`` at the model's own eps, dtype and
            weights, for ``exponents`` (the worst generator where there are none); for a dead
            tensor ‖g‖ relative to the whole gradient. NaN where the model's own gradient is zero or
            not finite.
        residual: how far from a symmetry the probes found the worst generator, in wide arithmetic:
            about 1e-14 is exact, 1e-9 to 1e-3 *approximate* (an eps out of reach).
        why: in words, what makes it a symmetry, where the structure of modules tells; else "".
    """

    names: tuple[str, ...]
    generators: tuple[Exponents, ...]
    exponents: Exponents | None
    kind: GroupKind
    leak: float
    residual: float
    why: str = ""

    @property
    def approximate(self) -> bool:
        """Whether the symmetry holds only nearly."""
        return self.residual > 1e-9
