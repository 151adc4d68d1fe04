"""A multi-layer perceptron whose every hidden layer is normalised."""

from torch import Tensor, nn

from limitcycle.lab.nets.layers import head, normalisation
from limitcycle.record.run import Norm


class MLP(nn.Module):
    """``depth`` times linear (no bias), normalisation, ReLU; then the head.

    Args:
        inputs: features of a flattened image.
        classes: outputs.
        width: units of a hidden layer.
        depth: hidden layers.
        norm: normalisation; see `limitcycle.lab.nets.layers.normalisation`.
        head_norm, train_head: see `limitcycle.lab.nets.layers.head`.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        width: int = 64,
        depth: int = 3,
        norm: Norm = "batch",
        head_norm: float | None = 10.0,
        train_head: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for fan_in in [inputs, *[width] * (depth - 1)]:
            linear = nn.Linear(fan_in, width, bias=False)
            layers += [linear, normalisation(norm, width), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = head(width, classes, bias=True, norm=head_norm, train=train_head)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W)."""
        logits: Tensor = self.head(self.body(images))
        return logits
