"""Products in less than float32: only when asked, only where they can be, and said so."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from limitcycle.errors import UserError
from limitcycle.lab import machine, train
from limitcycle.lab.how import How
from limitcycle.lab.together import train_together
from limitcycle.record import Run

RUN = Run(width=12, train_size=300, test_size=100, steps=12)


def backends():
    return torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision


@pytest.mark.parametrize(("precision", "inside"), [("highest", "ieee"), ("tf32", "tf32")])
def test_cuda_multiplies_as_asked_and_afterwards_as_before(precision, inside):
    before = backends()
    with pytest.raises(ZeroDivisionError), machine.products(precision, torch.device("cuda")):
        assert backends() == (inside, inside)
        raise ZeroDivisionError
    assert backends() == before


def test_a_run_on_the_cpu_touches_no_setting_of_cuda():
    before = backends()
    with machine.products("highest", torch.device("cpu")):
        assert backends() == before


def test_bfloat16_products_are_used_and_recorded(tmp_path):
    plain = train(RUN, tmp_path / "plain")
    rounded = train(RUN, tmp_path / "rounded", precision="bf16")
    assert "precision" not in plain.info
    assert rounded.info["precision"] == "bf16"
    apart = np.abs(rounded.steps["loss"] / plain.steps["loss"] - 1)
    assert 1e-5 < apart[0] < 1e-2, "eight bits of mantissa"
    assert rounded.checkpoint().arrays["weights/body.1.weight"].dtype == np.float32


def test_runs_together_round_like_runs_alone(tmp_path):
    runs = [replace(RUN, lr=0.03), replace(RUN, lr=0.3)]
    outs = [tmp_path / "0", tmp_path / "1"]
    for run, ended in zip(runs, train_together(runs, outs, How(precision="bf16")), strict=True):
        alone = train(run, tmp_path / f"alone-{run.lr}", precision="bf16")
        np.testing.assert_allclose(ended.steps["loss"], alone.steps["loss"], rtol=5e-2)
        first = ended.steps["loss"].iloc[0] / alone.steps["loss"].iloc[0]
        assert first == pytest.approx(1, rel=1e-3)


def test_going_on_in_another_precision_is_said(tmp_path):
    run = replace(RUN, steps=100_000)
    train(run, tmp_path / "run", stop_after=0.1)
    told = []
    train(run, tmp_path / "run", precision="bf16", stop_after=0.1, notice=told.append)
    assert "precision None → bf16" in told[0]


@pytest.mark.parametrize(
    ("precision", "dtype", "said"),
    [
        ("tf32", "float32", "tf32 needs a CUDA device"),
        ("bf16", "float64", "bf16 is for float32"),
        ("fp8", "float32", "precision must be one of highest, tf32, bf16"),
    ],
)
def test_what_cannot_be_is_refused(precision, dtype, said, tmp_path):
    with pytest.raises(UserError, match=said):
        train(replace(RUN, dtype=dtype), tmp_path / "run", precision=precision)
    assert not list(tmp_path.iterdir())
