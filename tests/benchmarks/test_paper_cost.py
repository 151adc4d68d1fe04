"""The arithmetic of the paper-scale estimate against counts by hand."""

from dataclasses import replace

import pytest

from benchmarks.paper_cost import image_operations, operations
from limitcycle.record import Run

# ConvNet of width 32: multiply-adds of its 3×3 convolutions (inputs·9·outputs·pixels), its head.
CONVOLUTIONS = [3 * 9 * 32 * 32**2, 32 * 9 * 64 * 32**2, 64 * 9 * 128 * 16**2, 128 * 9 * 256 * 8**2]
HEAD = 256 * 10
RUN = Run(net="convnet", data="cifar10", width=32, steps=782)


def test_a_forward_pass_is_counted():
    counted = image_operations("convnet", "cifar10", 32, backward=False)
    assert counted == 2 * (sum(CONVOLUTIONS) + HEAD)


def test_a_backward_pass_is_twice_that_but_for_the_images_and_the_frozen_head():
    counted = image_operations("convnet", "cifar10", 32, backward=True)
    assert counted == 2 * (3 * sum(CONVOLUTIONS) - CONVOLUTIONS[0] + 2 * HEAD)


def test_a_run_is_its_steps_and_its_passes():
    step = image_operations("convnet", "cifar10", 32, backward=True)
    look = image_operations("convnet", "cifar10", 32, backward=False)
    two_epochs = 782 * 128 * step + 3 * 10_000 * look
    assert operations(RUN) == pytest.approx(two_epochs)
    with_pass = operations(replace(RUN, train_pass=True))
    assert with_pass == pytest.approx(two_epochs + 3 * 50_000 * step)
