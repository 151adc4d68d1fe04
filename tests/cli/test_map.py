"""``limitcycle map`` as a user meets it."""

import json
import os
import re
import signal

import pandas as pd
import pytest

from limitcycle.cli import map as verb
from limitcycle.cli.main import main
from limitcycle.cli.settings import SETTINGS, values
from limitcycle.record import load

SMALL = ["--width", "8", "--train-size", "256", "--test-size", "64", "--steps", "40"]
PLANE = ["--lr", "0.1:10:3", "--weight-decay", "0.001:0.1:3"]
BY_NAME = {setting.name: setting for setting in SETTINGS}


@pytest.mark.slow
def test_a_map_from_the_command_line(tmp_path, capsys):
    out, picture = tmp_path / "out", tmp_path / "picture.svg"
    command = ["map", *SMALL, *PLANE, "--out", str(out), "--png", str(picture)]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "3 × 3 cells, 0 of them there; 320 updates to make" in said.err
    assert re.search(r"^\d of 9 cells", said.err, re.MULTILINE)  # the first stage
    assert "refused" in said.out and str(picture) in said.out
    assert picture.read_text().startswith("<?xml")
    table = pd.read_csv(out / "map.csv")
    assert (table["state"] == "done").sum() == 8
    assert (table["region"] == "refused").sum() == 1  # 10 × 0.1: ηλ must be below 1
    content = json.loads((out / "map.json").read_text())
    assert content["plane"]["lr"] == [0.1, 1.0, 10.0] and len(content["cells"]) == 9
    runs = {path.name: load(path).run for path in (out / "cells").iterdir()}
    assert sorted({run.lr for run in runs.values()}) == [0.1, 1.0, 10.0]
    assert main(command) == 0
    assert "8 of them there; 0 updates" in capsys.readouterr().err
    finer = ["--lr", "0.1:10:5", "--weight-decay", "0.001:0.1:3"]
    assert main(["map", *SMALL, *finer, "--out", str(out)]) == 0
    assert "5 × 3 cells, 8 of them there; 240 updates" in capsys.readouterr().err
    assert (out / "map.png").exists()


@pytest.mark.slow
def test_ctrl_c_keeps_everything_and_the_same_command_goes_on(tmp_path, capsys, monkeypatch):
    command = ["map", *SMALL[:-1], "700", *PLANE, "--out", str(tmp_path), "--workers", "1"]
    command += ["--units", "1000"]  # so that cells are left when it is drawn
    drawn, pressed = verb.save_map, []

    def draw_and_interrupt(*arguments):
        if not pressed:
            pressed.append(True)
            os.kill(os.getpid(), signal.SIGINT)
        return drawn(*arguments)

    monkeypatch.setattr(verb, "save_map", draw_and_interrupt)
    assert main(command) == 130
    assert "interrupted; the same command goes on" in capsys.readouterr().err
    kept = pd.read_csv(tmp_path / "map.csv")
    done = (kept["state"] == "done").sum()
    assert 1 <= done < 8 and (tmp_path / "map.png").exists()
    assert main(command) == 0
    assert f"{done} of them there" in capsys.readouterr().err


@pytest.mark.slow
def test_stop_after_leaves_the_rest_for_later(tmp_path, capsys):
    long = ["--width", "8", "--lr", "0.001", "0.002", "--weight-decay", "0.001", "0.002"]
    command = ["map", *long, "--steps", "1000000", "--out", str(tmp_path)]
    assert main([*command, "--stop-after", "1s"]) == 0
    assert "not made yet" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "map.csv")
    assert set(table["state"]) <= {"stopped", "waiting"}


@pytest.mark.slow
def test_an_axis_may_be_a_flag_or_words(tmp_path):
    axes = ["--x", "train-head", "--y", "norm", "--norm", "batch", "layer"]
    assert main(["map", *SMALL, *axes, "--out", str(tmp_path)]) == 0
    table = pd.read_parquet(tmp_path / "map.parquet")
    assert (
        table["train_head"].tolist() == ["False", "True"] * 2
        or table["train_head"].tolist() == [False, True] * 2
    )
    assert table["norm"].tolist() == ["batch", "batch", "layer", "layer"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--x", "speed"], "--x 'speed' is no setting"),
        (["--x", "steps"], "--x 'steps' is no setting"),
        (["--x", "weight-decay"], "--x and --y are both weight-decay"),
        (["--x", "momentum"], "needs several values: --momentum 0 0.5 0.9"),
        (["--lr", "0.1"], "the axis lr needs several values"),
        (["--momentum", "0", "0.9"], "--momentum has 2 values but is no axis"),
        (["--lr", "fast"], "must be a number, not 'fast'"),
        (["--lr", "1:2"], "a range is LOW:HIGH:COUNT"),
        (["--lr", "1:2:x"], "COUNT"),
        (["--lr", "1:2:1"], "COUNT must be 2 to 1,000"),
        (["--lr", "2:1:5"], "LOW must be a number below HIGH"),
        (["--lr", "nan:1:5"], "LOW must be a number below HIGH"),
        (["--batch-size", "1:full:3", "--x", "batch-size"], "LOW must be a number"),
        (["--units", "0"], "units must be positive"),
        (["--units", "many"], "must be a number, not 'many'"),
        (["--steps", "0"], "at least 1"),
        (["--epochs", "3"], "unknown option '--epochs'"),
        (["--net", "vgg"], "net must be one of"),
        (["--lr", "1:9:3", "--weight-decay", "5", "6"], "must be below 1"),
        (["--png", "map.pdf"], "map.pdf: the map's picture ends in .png or .svg"),
        (["--png", ""], "is empty: give one"),
        (["--out", ""], "is empty: give one"),
        (["--workers", "0"], "at least 1"),
        (["--batch-size", "5000", "--workers", "1"], "5,000 is more than the 256"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(arguments, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = SMALL if "--steps" not in arguments else []
    out = ["--out", "map"] if "--out" not in arguments else []
    try:
        code = main(["map", *small, *out, *arguments])
    except SystemExit as complaint:  # argparse's own
        code = complaint.code
    assert code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    complaints = [line for line in lines if "cells" not in line]
    assert said in complaints[-1]
    assert not list(tmp_path.iterdir())


def test_ranges_go_by_ratios_or_by_steps():
    assert values("0.001:1:4", BY_NAME["lr"]) == [0.001, 0.01, 0.1, 1.0]
    assert values("0:0.9:4", BY_NAME["momentum"]) == [0.0, 0.3, 0.6, 0.9]
    assert values("0:0.02:3", BY_NAME["weight_decay"]) == [0.0, 0.01, 0.02]
    assert values("8:64:4", BY_NAME["width"]) == [8, 16, 32, 64]
    assert values("0:4:5", BY_NAME["seed"]) == [0, 1, 2, 3, 4]
    assert values("1:3:9", BY_NAME["depth"]) == [1, 2, 3]
    assert values("C:/a:1", BY_NAME["start_from"]) == ["C:/a:1"]
    assert values("full", BY_NAME["batch_size"]) == [None]


def test_a_finer_range_holds_the_coarser_ones_values():
    coarse, fine = (values(f"0.03:30:{count}", BY_NAME["lr"]) for count in (12, 23))
    assert set(coarse) < set(fine)


@pytest.mark.slow
def test_train_takes_ranges_too(tmp_path):
    small = ["--width", "8", "--train-size", "256", "--test-size", "64", "--steps", "3"]
    assert main(["train", *small, "--lr", "0.01:1:3", "5", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "lr=0.01",
        "lr=0.1",
        "lr=1",
        "lr=5",
    ]
