"""Pre-activation ResNet-18 with a normalisation in front of every shortcut convolution.

Its scale invariance is joint: the tensors that write into one residual stream scale together.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from limitcycle.lab.nets.layers import head, normalisation
from limitcycle.record.run import Norm


class ResNet18(nn.Module):
    """A stem, four stages of ``depth`` pre-activation blocks, a last normalisation, the head.

    Channels double and the image halves from stage to stage. No convolution has a bias, nor has the
    head (protocol, Appendix B).

    Args:
        channels: of the images.
        classes: outputs.
        width: channels of the first stage.
        depth: blocks a stage.
        norm: normalisation; see `limitcycle.lab.nets.layers.normalisation`.
        head_norm, train_head: see `limitcycle.lab.nets.layers.head`.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        width: int = 64,
        depth: int = 2,
        norm: Norm = "batch",
        head_norm: float | None = 10.0,
        train_head: bool = False,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        fan_in = width
        for stage in range(4):
            for block in range(depth):
                stride = 2 if stage and not block else 1
                blocks.append(ResidualBlock(fan_in, width << stage, stride, norm))
                fan_in = width << stage
        self.blocks = nn.Sequential(*blocks)
        self.last_norm = normalisation(norm, fan_in)
        self.head = head(fan_in, classes, bias=False, norm=head_norm, train=train_head)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W)."""
        stream = self.blocks(self.stem(images))
        features = F.relu(self.last_norm(stream)).mean(dim=(2, 3))
        logits: Tensor = self.head(features)
        return logits


class ResidualBlock(nn.Module):
    """x ↦ shortcut(x) + conv(relu(norm(conv(relu(norm(x)))))), channels last but one doubled."""

    def __init__(self, fan_in: int, fan_out: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.norm1 = normalisation(norm, fan_in)
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = normalisation(norm, fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or fan_in != fan_out:
            convolution = nn.Conv2d(fan_in, fan_out, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(normalisation(norm, fan_in), convolution)

    def forward(self, stream: Tensor) -> Tensor:
        """The residual stream (N, C, H, W) after this block."""
        branch = self.conv1(F.relu(self.norm1(stream)))
        branch = self.conv2(F.relu(self.norm2(branch)))
        result: Tensor = self.shortcut(stream) + branch
        return result
