"""W&B's two kinds of CSV give the run back that was logged."""

import json
import struct
import time

import numpy as np
import pandas as pd
import pytest

from limitcycle.errors import UserError
from limitcycle.reading import diagnose
from limitcycle.record.logs import as_table
from limitcycle.record.wandb import is_chart, is_history, read_charts, read_histories
from tests.record.logged import ROWS, write_chart, write_history


def read_history(path, step):
    (log,) = read_histories(path, step)
    return log


def by_step(name, frame=ROWS):
    return frame.set_index("step")[name]


def test_a_history_of_separate_calls_is_joined(tmp_path):
    log = read_history(write_history(tmp_path / "h.csv"), None)
    table, notes = as_table(log, {})
    np.testing.assert_allclose(table["loss"], ROWS["loss"].iloc[1:], rtol=1e-15)
    np.testing.assert_allclose(table["norm"], ROWS["norm"].iloc[:-1], rtol=1e-15)  # the call before
    assert notes[0] == "taken: step = '_step', loss = 'train/loss', norm = 'weight_norm'"
    assert len(diagnose(table).events) == len(diagnose(ROWS).events) == 3


def test_a_global_step_joins_the_calls_of_one_update(tmp_path):
    steps = np.repeat(ROWS["step"].to_numpy(), 2)
    path = write_history(tmp_path / "h.csv", **{"trainer/global_step": steps})
    table, notes = as_table(read_history(path, None), {})
    pd.testing.assert_frame_equal(table, ROWS, check_dtype=False, rtol=1e-15)
    assert "step = 'trainer/global_step'" in notes[0]
    table, _ = as_table(read_history(path, "_step"), {})
    assert table["step"].max() > ROWS["step"].max()


def test_a_resumed_history_ends_with_its_last_values(tmp_path):
    again = pd.concat([ROWS.iloc[:700], ROWS.iloc[500:].assign(loss=lambda f: 2 * f["loss"])])
    path = write_history(
        tmp_path / "h.csv", again, **{"global_step": np.repeat(again["step"].to_numpy(), 2)}
    )
    table, _ = as_table(read_history(path, None), {})
    assert list(table["step"]) == list(ROWS["step"])
    assert (table["loss"].iloc[500:] == 2 * ROWS["loss"].iloc[500:]).all()


def test_logged_nan_is_not_a_blank(tmp_path):
    path = write_history(tmp_path / "h.csv")
    end = 2 * len(ROWS)
    with path.open("a") as file:
        for step in range(end, end + 10, 2):
            file.write(f"{step},{step},1,1,NaN,\n{step + 1},{step + 1},1,1,,Infinity\n")
    table, _ = as_table(read_history(path, None), {})
    assert table["loss"].isna().sum() == 5 and np.isinf(table["norm"]).sum() == 4
    assert diagnose(table).label == "diverged"


def test_sampled_histories_say_so(tmp_path):
    log = read_history(write_history(tmp_path / "h.csv", ROWS.head(250)), None)
    assert "scan_history" in as_table(log, {})[1][-1]


def test_histories_of_several_runs_are_told_apart(tmp_path):
    one = write_history(tmp_path / "1.csv", run_id="one")
    two = write_history(tmp_path / "2.csv", ROWS.head(300).assign(norm=np.nan), run_id="two")
    pd.concat([pd.read_csv(one), pd.read_csv(two)]).to_csv(tmp_path / "both.csv", index=False)
    first, second = read_histories(tmp_path / "both.csv", None)
    assert (first.name, second.name) == ("one", "two")
    assert len(as_table(first, {})[0]) == len(ROWS) - 1
    with pytest.raises(UserError, match=r"run 'two' has no norm .* it has 'train/loss'"):
        as_table(second, {})


def test_a_text_column_is_refused_only_if_it_is_asked_for(tmp_path):
    path = write_history(tmp_path / "h.csv", table="a dict")
    assert len(as_table(read_history(path, None), {})[0])
    with pytest.raises(UserError, match="'table' does not hold numbers"):
        as_table(read_history(path, None), {"norm": "table"})


@pytest.mark.slow
def test_what_a_real_offline_run_logged(tmp_path, monkeypatch):
    """The rows that W&B itself kept, as ``pandas.DataFrame.from_records(...).to_csv`` of them."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    import wandb

    frame = ROWS.head(300)
    with wandb.init(project="x", dir=tmp_path, settings=wandb.Settings(console="off")) as run:
        for step, loss, norm in frame[["step", "loss", "norm"]].itertuples(index=False):
            run.log({"train/loss": loss, "trainer/global_step": step})
            run.log({"weight_norm": norm, "trainer/global_step": step, "note": "text"})
    (kept,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    for _ in range(100):  # its service may write the last block a moment later
        rows = list(_rows(kept.read_bytes()))
        if len(rows) == 2 * len(frame):
            break
        time.sleep(0.1)
    pd.DataFrame.from_records(rows).to_csv(tmp_path / "h.csv")
    table, notes = as_table(read_history(tmp_path / "h.csv", None), {})
    pd.testing.assert_frame_equal(table, frame, check_dtype=False, rtol=1e-12)
    assert "step = 'trainer/global_step', loss = 'train/loss', norm = 'weight_norm'" in notes[0]


def _rows(content):
    """The history in a .wandb file: LevelDB's log format around protocol buffers."""
    from wandb.proto.wandb_internal_pb2 import Record

    block, at, whole = 32_768, 7, b""
    while at + 7 <= len(content):
        if block - at % block < 7:
            at += block - at % block
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # full, or the last of several
            record, whole = Record.FromString(whole), b""
            if record.HasField("history"):
                items = record.history.item
                yield {i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in items}


def test_charts_of_two_metrics_over_the_same_runs_make_a_table_a_run(tmp_path):
    short = ROWS.head(400)
    loss = {"fine - sun-1": by_step("loss"), "b": by_step("loss", short)}
    norm = {"fine - sun-1": by_step("norm"), "b": by_step("norm", short)}
    paths = [
        write_chart(tmp_path / "loss.csv", "train/loss", **loss),
        write_chart(tmp_path / "norm.csv", "weight_norm", **norm),
    ]
    first, second = read_charts(paths)
    assert (first.name, second.name) == ("fine - sun-1", "b")
    for log, frame in ((first, ROWS), (second, short)):
        table, notes = as_table(log, {})
        pd.testing.assert_frame_equal(table, frame, check_dtype=False, rtol=1e-15)
        assert notes == ["taken: loss = 'train/loss', norm = 'weight_norm'"]


def test_a_chart_of_means_says_so(tmp_path):
    path = write_chart(tmp_path / "l.csv", "loss", spread=0.1, a=by_step("loss"))
    norms = write_chart(tmp_path / "n.csv", "norm", a=by_step("norm"))
    (log,) = read_charts([path, norms])
    assert "means of several steps ('loss')" in as_table(log, {})[1][-1]


def test_a_chart_without_a_norm_or_over_time_is_refused(tmp_path):
    path = write_chart(tmp_path / "l.csv", "train/loss", a=by_step("loss"))
    (log,) = read_charts([path])
    with pytest.raises(UserError, match=r"run 'a' has no norm .*get_total_norm.*wandb\.log"):
        as_table(log, {})
    axis = "Relative Time (Process)"
    path = write_chart(tmp_path / "l.csv", "train/loss", axis, a=by_step("loss"))
    with pytest.raises(UserError, match="x axis is 'Relative Time"):
        read_charts([path])


def test_kinds_are_told_by_their_header():
    chart = ["Step", "a - b - loss", "a - b - loss__MIN", "a - b - loss__MAX"]
    history = ["Unnamed: 0", "_step", "_runtime", "_timestamp", "train/loss"]
    plain = ["step", "loss", "norm"]
    assert [is_chart(names) for names in (chart, history, plain)] == [True, False, False]
    assert [is_history(names) for names in (chart, history, plain)] == [False, True, False]
    assert not is_chart([]) and not is_chart(["Step"]) and not is_history(["_step", "loss"])
