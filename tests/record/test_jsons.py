"""JSON in the shapes that trainers leave."""

import gzip
import json
import math

import pytest

from limitcycle.errors import UserError
from limitcycle.record.jsons import read_json, read_json_lines

ROWS = [{"step": k, "loss": 1.0 / (k + 1), "norm": 2.0 + k} for k in range(20)]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
SUMMARY = {"step": 19, "train_loss": 0.2, "train_runtime": 3.5, "total_flos": 0.0}


def same(table):
    assert table[["step", "loss", "norm"]].to_dict("list") == COLUMNS


@pytest.mark.parametrize(
    "content",
    [
        ROWS,
        COLUMNS,
        {"best_metric": None, "global_step": 19, "log_history": [*ROWS, SUMMARY]},
        [*ROWS, SUMMARY],
    ],
)
def test_rows_columns_and_a_trainers_state(tmp_path, content):
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps(content))
    table, notes = read_json(path)
    same(table)
    assert notes == [] and "train_loss" not in table


@pytest.mark.parametrize("name", ["metrics.jsonl", "metrics.jsonl.gz", "metrics.json"])
def test_an_object_a_line(tmp_path, name):
    content = "\n".join(["\ufeff" + json.dumps(ROWS[0]), *map(json.dumps, ROWS[1:]), ""]).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    table, notes = (read_json if name.endswith(".json") else read_json_lines)(path)
    same(table)
    assert notes == []


def test_lines_that_are_cut_are_counted(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)) + '\n{"step": 20, "lo\n[1]\n')
    table, notes = read_json_lines(path)
    same(table)
    assert notes == ["lines left out because they are no JSON objects: 2"]


def test_nested_names_and_nan(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 0, "train": {"loss": NaN, "norm": 2}}\n')
    table, _ = read_json_lines(path)
    assert list(table.columns) == ["step", "train/loss", "train/norm"]
    assert math.isnan(table["train/loss"][0])


def test_a_history_without_steps_has_a_value_an_epoch(tmp_path):
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"loss": [3.0, 2.0], "norm": [1.0, 1.1], "lr": []}))
    assert read_json(path)[0]["epoch"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is no JSON"),
        ("3", "its JSON is no log"),
        ("[]", "its JSON is no log"),
        ('{"loss": [1, 2], "norm": [1]}', "its JSON is no log"),
        ('{"loss": 1}', "its JSON is no log"),
        ("{nothing\n}", "no line of it is a JSON object"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path, content, said):
    path = tmp_path / "m.json"
    path.write_text(content)
    with pytest.raises(UserError, match=said):
        read_json(path)
