"""The epoch table's measurements: the test set, and the additional pass over the training set."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from limitcycle.lab.data import take
from limitcycle.lab.functional import Differentiate, State, differentiate
from limitcycle.lab.setup import Setup

TEST_BATCH = 1_000


def evaluate(
    setup: Setup, state: State, *, train_pass: bool, derivative: Differentiate = differentiate
) -> Tensor:
    """What the epoch table says of a state, left on the device.

    Args:
        setup: the run.
        state: what is measured.
        train_pass: make the paper's additional pass, too.
        derivative: how the gradient is taken.

    Returns:
        ρ, then `evaluate_test`, then `evaluate_train` where it is asked for: (3,) or (7,) float64.
    """
    leading = state["weights"][: setup.net.leading]
    norm = torch.linalg.vector_norm(leading, dtype=torch.float64)
    parts = [norm.view(1), evaluate_test(setup, state)]
    if train_pass:
        parts.append(evaluate_train(setup, state, derivative))
    return torch.cat(parts)


def evaluate_test(setup: Setup, state: State) -> Tensor:
    """Mean loss (nats) and error (fraction) on the test set, with running statistics: (2,)."""
    data = setup.data
    total = torch.zeros(2, dtype=torch.float64, device=data.test_labels.device)
    with torch.no_grad():
        for part in _slices(len(data.test_labels), TEST_BATCH):
            images, labels = data.test_images[part], data.test_labels[part]
            logits, _ = setup.net.logits(state, images, train=False)
            loss = F.cross_entropy(logits, labels, reduction="sum")
            wrong = (logits.argmax(1) != labels).sum()
            total = total + torch.stack([loss.double(), wrong.double()])
    return total / len(data.test_labels)


def evaluate_train(setup: Setup, state: State, derivative: Differentiate = differentiate) -> Tensor:
    """The paper's additional pass (Appendix B): loss, error, confidence, effective gradient norm.

    One pass in train mode, in mini-batches of the run's size and in the data's own order, leaving
    the running statistics alone. Loss (nats), error (fraction) and confidence (mean largest
    softmax) are means over images; ρ·‖∇f‖ is the mean over mini-batches.

    Returns:
        (4,) float64.
    """
    data, n = setup.data, setup.net.leading
    size = len(data.train_labels)
    sums = torch.zeros(3, dtype=torch.float64, device=data.train_labels.device)
    gradients = []
    for part in _slices(size, setup.batch_size):
        labels = data.train_labels[part]
        images = take(data.train_images, part)
        here = derivative(setup.net, state, images, labels)
        wrong = (here.logits.argmax(1) != labels).sum()
        confidence = here.logits.softmax(1).amax(1).sum()
        scaled = here.loss.double() * len(labels)
        sums = sums + torch.stack([scaled, wrong.double(), confidence.double()])
        gradients.append(torch.linalg.vector_norm(here.gradient[:n], dtype=torch.float64))
    norm = torch.linalg.vector_norm(state["weights"][:n], dtype=torch.float64)
    return torch.cat([sums / size, (norm * torch.stack(gradients).mean()).view(1)])


def _slices(size: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, size)) for start in range(0, size, step))
