"""What the three nets share: normalisation by name, and the head."""

import torch
from torch import Tensor, nn

from limitcycle.record.run import Norm

_GROUPS = 4  # of GroupNorm, or as many as divide the channels
_LEAST = 4  # channels a group: of two normalised values only the signs are left


def normalisation(kind: Norm, channels: int) -> nn.Module:
    """A normalisation of ``channels`` channels for (N, C) or (N, C, H, W), eps 1e-5.

    ``batch``, ``group`` and ``layer`` have no affine parameters, so that what they normalise is
    scale-invariant; ``batch-affine`` has them; ``none`` is the identity.
    """
    if kind == "group":
        groups = min(_GROUPS, max(1, channels // _LEAST))
        return nn.GroupNorm(_divisor(channels, groups), channels, affine=False)
    if kind == "layer":
        return nn.GroupNorm(1, channels, affine=False)
    if kind == "none":
        return nn.Identity()
    return BatchNorm(channels, affine=kind == "batch-affine")


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over all dimensions but the channels', for (N, C) and (N, C, H, W)."""

    def __init__(self, channels: int, *, affine: bool) -> None:
        super().__init__(channels, affine=affine)
        # A counter that nothing reads would be one more operation and one more array to keep.
        self.num_batches_tracked = None

    def forward(self, input: Tensor) -> Tensor:
        """``input`` normalised, same shape.

        `torch.nn.functional.batch_norm` refuses eps = 0, with which the net is scale-invariant
        exactly; the operation that it calls takes it, and a channel without variance becomes 0.
        """
        if self.eps or not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        if input.numel() == input.shape[1]:
            raise ValueError("one value a channel has no variance")
        return torch.batch_norm(
            input,
            *(self.weight, self.bias, self.running_mean, self.running_var),
            training=True,
            momentum=self.momentum or 0.0,
            eps=0.0,
            cudnn_enabled=torch.backends.cudnn.enabled,
        )

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ValueError(f"expected (N, C) or (N, C, H, W), got {tuple(input.shape)}")


def head(features: int, classes: int, *, bias: bool, norm: float | None, train: bool) -> nn.Linear:
    """The last layer: its weight matrix scaled to Frobenius norm ``norm``, frozen unless ``train``.

    The bias stays at its random initialisation (protocol of Appendix B).
    """
    layer = nn.Linear(features, classes, bias=bias)
    if norm is not None:
        with torch.no_grad():
            layer.weight.mul_(norm / layer.weight.norm())
    return layer.requires_grad_(train)


def _divisor(channels: int, at_most: int) -> int:
    return max(n for n in range(1, at_most + 1) if channels % n == 0)
