"""The paper's mathematics on NumPy arrays; every function cites its equation.

Legend: ρ norm of the scale-invariant weights, η learning rate, λ weight decay, g gradient norm,
g̃ = ρ·g effective gradient norm, η̃ = η/ρ² effective learning rate.
"""

from limitcycle.theory.norm import growth_threshold, next_squared_norm

__all__ = ["growth_threshold", "next_squared_norm"]
