"""Changing the dynamics: weights held on a sphere."""

from limitcycle.control.sphere import project

__all__ = ["project"]
