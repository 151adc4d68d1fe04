"""``limitcycle probe``: the user's module is found and asked; where it fails, one line says so."""

import json
import sys

import pytest

from limitcycle.cli.main import main

SOURCE = """
import torch
from torch import nn

def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))

def made():
    return model(), torch.randn(16, 10)

def lossy():
    return nn.Linear(10, 4, bias=False), torch.randn(8, 10), lambda y: (y / y.norm()).sum()

def raising():
    raise ValueError("no data\\nhere")

def leaving():
    raise SystemExit(3)

def wrong():
    return model(), torch.randn(16, 9)

number = 3
"""


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine_to_probe.py").write_text(SOURCE)
    (tmp_path / "broken_to_probe.py").write_text("import nothing_of_this_name\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_to_probe", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["probe", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_it_prints_table_and_reasons(call):
    code, out, _ = call("mine_to_probe:made")
    assert code == 0
    assert "0.weight" in out and "scale-invariant" in out
    assert "absorbed by `1` (BatchNorm1d)" in out


def test_options(call):
    assert "0.weight[0:6], each by itself" in call("mine_to_probe:made", "--per-channel")[1]
    assert "1 % at norm ×" in call("mine_to_probe:made", "--leak")[1]
    content = json.loads(call("mine_to_probe:made", "--json", "--leak")[1])
    assert content["groups"][0]["names"] == ["0.weight"]
    assert content["leak_growth"]["names"] == ["0.weight"]
    assert "scale-invariant" in call("mine_to_probe:lossy")[1]


@pytest.mark.parametrize(
    "target, message",
    {
        "mine_to_probe": "write package.module:function",
        "nothing_to_probe:made": "importing nothing_to_probe failed (ModuleNotFoundError",
        "broken_to_probe:made": "No module named 'nothing_of_this_name'), at broken_to_probe.py:1",
        "mine_to_probe:absent": "mine_to_probe has no absent",
        "mine_to_probe:number": "number is of type int",
        "mine_to_probe:raising": "(ValueError: no data here), at mine_to_probe.py:",
        "mine_to_probe:leaving": "(SystemExit: 3)",
        "mine_to_probe:model": "a model without a batch",
        "mine_to_probe:wrong": "forward pass failed (RuntimeError",
    }.items(),
)
def test_mistakes_are_one_line(call, target, message):
    code, out, err = call(target)
    assert code == 2 and not out
    assert message in err and err.count("\n") == 1


def test_leak_and_channels_exclude_each_other(call):
    assert call("mine_to_probe:made", "--leak", "--per-channel")[0] == 2
