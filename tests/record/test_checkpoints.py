"""Checkpoints of any size: what is written is read back, whole or not at all."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from limitcycle.errors import UserError
from limitcycle.lab.functional import FunctionalNet
from limitcycle.lab.nets import build_net
from limitcycle.lab.setup import to_arrays
from limitcycle.record import Run
from limitcycle.record.checkpoints import (
    FILE_BYTES,
    list_checkpoints,
    newest_checkpoint,
    prune_checkpoints,
    read_checkpoint,
    remove_beyond,
    write_checkpoint,
)

ROWS = {"steps": 7, "epochs": 2}
LIMIT = 400  # bytes


def arrays(seed=0):
    """Some that fit into a file, one that does not, one whose rows do not, one without numbers."""
    rng = np.random.default_rng(seed)
    shapes = {"a": (10,), "b": (50, 3), "c[0:2]": (3, 80), "d": (0,), "e": (20,)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("file_bytes", [1, LIMIT, 2_000, float("inf")])
def test_what_is_written_is_read_back(file_bytes, tmp_path):
    path = write_checkpoint(tmp_path, 12, arrays(), ROWS, file_bytes=file_bytes)
    assert list_checkpoints(tmp_path) == [path]
    completed, read, rows = read_checkpoint(path)
    assert (completed, rows) == (12, ROWS)
    assert read.keys() == arrays().keys()
    for name, array in arrays().items():
        assert np.array_equal(read[name], array), name


def test_a_small_checkpoint_is_one_plain_safetensors_file(tmp_path):
    path = write_checkpoint(tmp_path, 12, arrays(), file_bytes=1e6)
    assert [file.name for file in tmp_path.iterdir()] == ["step-000000000011.safetensors"]
    read = load_file(path)
    assert read.keys() == arrays().keys()
    assert all(np.array_equal(read[name], array) for name, array in arrays().items())


@pytest.mark.parametrize("damage", ["remove", "truncate", "exchange"])
def test_a_checkpoint_without_all_of_its_files_gives_way_to_the_one_before(damage, tmp_path):
    write_checkpoint(tmp_path, 5, arrays(1), file_bytes=LIMIT)
    path = write_checkpoint(tmp_path, 9, arrays(2), file_bytes=LIMIT)
    victim = sorted(tmp_path.glob(f"{path.stem}.*-of-*"))[-1]
    if damage == "remove":
        victim.unlink()
    elif damage == "truncate":
        victim.write_bytes(victim.read_bytes()[:-9])
    else:
        victim.write_bytes(victim.with_name(victim.name.replace("000008", "000004")).read_bytes())
    with pytest.raises(UserError, match=r"checkpoint .* (cannot be read|is damaged)"):
        read_checkpoint(path)
    told = []
    assert newest_checkpoint(tmp_path, told.append).completed == 5
    assert "passed over" in told[0]


def test_files_leave_with_their_checkpoint(tmp_path):
    for completed in (3, 6, 9):
        write_checkpoint(tmp_path, completed, arrays(completed), file_bytes=LIMIT)
    files = len(list(tmp_path.iterdir()))
    prune_checkpoints(tmp_path)
    assert len(list(tmp_path.iterdir())) == files * 2 // 3
    remove_beyond(tmp_path, 6)
    assert len(list(tmp_path.iterdir())) == files // 3
    assert newest_checkpoint(tmp_path, print).completed == 6


def test_what_a_killed_writer_leaves_is_no_checkpoint_and_is_removed(tmp_path):
    path = write_checkpoint(tmp_path, 3, arrays(), file_bytes=LIMIT)
    path.unlink()  # the first file is written last
    assert newest_checkpoint(tmp_path, print) is None
    remove_beyond(tmp_path, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("run", "files"),
    [
        (Run(net="convnet", momentum=0.9), 1),
        (Run(net="resnet18"), 3),
        (Run(net="resnet18", momentum=0.9), 6),
    ],
)
def test_every_file_of_the_papers_nets_stays_below_16_mebibytes(run, files, tmp_path):
    module = build_net(run, (3, 32, 32), 10)
    net = FunctionalNet(module, ())
    state = net.initial_state(torch.float32, torch.device("cpu"))
    if run.momentum:
        state["momentum"] = torch.zeros_like(state["weights"])
    write_checkpoint(tmp_path, 1, to_arrays(net, state), file_bytes=FILE_BYTES)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == files
    assert max(sizes) < 2**24
