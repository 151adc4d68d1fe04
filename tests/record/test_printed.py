"""Lines of training scripts, as these print them."""

import gzip
import math

import pytest

from limitcycle.errors import UserError
from limitcycle.record.printed import GRADIENT, read_printed

MEGATRON = (
    " [2024-05-01 10:00:{k:02d}] iteration {step:8d}/  250000 | consumed samples: {k:12d} |"
    " elapsed time per iteration (ms): 4247.9 | learning rate: 1.000E-04 |"
    " global batch size:   128 | lm loss: {loss:.6E} | loss scale: 1.0 | grad norm: 0.219 |"
    " num zeros: 0.0 | params norm: {norm:.3f} | number of skipped iterations:   0 |"
    " number of nan iterations:   0 |"
)
TORCHTITAN = (
    "[rank0]:[titan] 2024-12-01 10:00:{k:02d},123 - root - INFO - \x1b[31mstep: {step:2d}  "
    "\x1b[32mloss: {loss:7.4f}  \x1b[38;5;208mgrad_norm:  1.2345  weight_norm: {norm:.3f}  "
    "\x1b[33mmemory: 12.34GiB(12.98%)  \x1b[34mtps: 1,234  \x1b[36mtflops: 5.67  "
    "\x1b[35mmfu: 1.82%\x1b[39m"
)
NANOGPT = "iter {step}: loss {loss:.4f}, time 512.34ms, mfu 12.34%, weight norm {norm:.3f}"
DICTIONARY = "{{'loss': {loss:.4f}, 'weight_norm': {norm:.3f}, 'step': {step}, 'epoch': 0.{k:02d}}}"
NOISE = (
    "using world size: 8, data-parallel size: 8\n",
    "step 0: train loss 10.9874, val loss 10.9890\n",
    "saving checkpoint to out\n",
)
FORMATS = {
    "megatron": (MEGATRON, "lm loss", "params norm"),
    "torchtitan": (TORCHTITAN, "loss", "weight_norm"),
    "nanogpt": (NANOGPT, "loss", "weight norm"),
    "dictionary": (DICTIONARY, "loss", "weight_norm"),
}


def values(step):
    return round(3 / (1 + step), 4), round(40 + step / 10, 3)


def lines(form, steps=range(0, 60, 5)):
    for k, step in enumerate(steps):
        loss, norm = values(step)
        yield form.format(step=step, k=k, loss=loss, norm=norm) + "\n"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("packed", [False, True])
def test_every_printed_step_is_a_row(tmp_path, name, packed):
    form, loss, norm = FORMATS[name]
    path = tmp_path / ("out.log.gz" if packed else "out.log")
    content = "".join([*NOISE, *lines(form)]).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    table, notes = read_printed(path)
    table = table[table[loss].notna()]
    assert notes == [] and table["step"].tolist() == list(range(0, 60, 5))
    assert list(zip(table[loss], table[norm], strict=True)) == [values(s) for s in table["step"]]


def test_losses_that_are_not_finite_are_numbers(tmp_path):
    path = tmp_path / "out.log"
    path.write_text("step: 1  loss: nan  norm: 1,234.5\nstep: 2  loss: -inf  norm: 2e3\n")
    table, _ = read_printed(path)
    assert math.isnan(table["loss"][0]) and table["loss"][1] == -math.inf
    assert table["norm"].tolist() == [1234.5, 2000.0]


@pytest.mark.parametrize(
    "line",
    [
        "step    0 | loss: 10.953625 | lr 8.3916e-07 | norm: 15.4093 | dt: 9300ms | tok/sec: 5637",
        "step    1/19560 | loss 10.953625 (+nanz)| norm 15.4093 (+nanz)| lr 8.4e-07 | 900.1 ms | "
        "45.1% bf16 MFU | 563711 tok/s",
    ],
)
def test_what_is_printed_beside_the_speed_is_the_gradients_norm(tmp_path, line):
    path = tmp_path / "out.log"
    path.write_text(line + "\n")
    table, _ = read_printed(path)
    assert "norm" not in table and table[GRADIENT][0] == 15.4093 and table["loss"][0] == 10.953625


def test_a_text_without_steps_is_refused(tmp_path):
    path = tmp_path / "out.log"
    path.write_text("nothing here\nloss 3\n")
    with pytest.raises(UserError, match="no line of it names a step"):
        read_printed(path)
