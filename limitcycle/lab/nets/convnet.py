"""The paper's "three-layer" ConvNet: a stem, three widenings and a linear head."""

from torch import Tensor, nn

from limitcycle.lab.nets.layers import head, normalisation
from limitcycle.record.run import Norm


class ConvNet(nn.Module):
    """Conv to ``width`` channels; ``depth`` times conv to twice as many, each then max-pooled by 2.

    All convolutions are 3×3 with padding 1 and no bias, each followed by normalisation and ReLU.
    What is left of the image after the last pool is max-pooled away. With width 32, depth 3 and 10
    classes: 387,936 convolution weights and 2,570 in the head (protocol, Appendix B).

    Args:
        channels: of the images.
        classes: outputs.
        resolution: side of the images in pixels; at least 2**depth.
        width: channels after the stem.
        depth: widenings.
        norm: normalisation; see `limitcycle.lab.nets.layers.normalisation`.
        head_norm, train_head: see `limitcycle.lab.nets.layers.head`.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        resolution: int = 32,
        width: int = 32,
        depth: int = 3,
        norm: Norm = "batch",
        head_norm: float | None = 10.0,
        train_head: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [*_convolution(channels, width, norm)]
        for stage in range(depth):
            layers += [*_convolution(width << stage, width << stage + 1, norm), nn.MaxPool2d(2)]
        rest = resolution >> depth
        layers += [nn.MaxPool2d(rest), nn.Flatten()]
        self.body = nn.Sequential(*layers)
        self.head = head(width << depth, classes, bias=True, norm=head_norm, train=train_head)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W)."""
        logits: Tensor = self.head(self.body(images))
        return logits


def _convolution(fan_in: int, fan_out: int, norm: Norm) -> list[nn.Module]:
    convolution = nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False)
    return [convolution, normalisation(norm, fan_out), nn.ReLU()]
