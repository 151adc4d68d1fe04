"""The paper's networks as ordinary modules; what is scale-invariant in them they do not say."""

from limitcycle.lab.nets.build import build_net, check_depth

__all__ = ["build_net", "check_depth"]
