"""`limitcycle diagnose` on what people have: it judges, says what it took for what, or refuses."""

import json
import re

import pandas as pd
import pytest
import torch

import limitcycle
from limitcycle.cli.main import main
from limitcycle.record import STEP_COLUMNS, Run, RunFolder
from limitcycle.record.logs import MEASURE
from tests.record.logged import ROWS, write_chart, write_events, write_history, write_mlruns

PERIODIC = "periodic: 3 jumps, one every"


def diagnose(capsys, *arguments):
    code = main(["diagnose", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    return write_events(tmp_path_factory.mktemp("runs") / "mine", ROWS)


def test_a_tensorboard_folder(events, capsys):
    code, out, err = diagnose(capsys, events, "--lr", "0.1", "--weight-decay", "0.01")
    assert code == 0
    assert out.startswith("mine: periodic: ") and PERIODIC in out
    assert err == "mine: taken: loss = 'train/loss', norm = 'weight_norm'\n"


def test_names_that_were_said_are_taken_silently(events, capsys):
    code, out, err = diagnose(capsys, events, "--loss", "train/loss", "--norm", "weight_norm")
    assert (code, err) == (0, "") and PERIODIC in out
    code, _, err = diagnose(capsys, events, "--loss", "loss")
    assert code == 2 and "no 'loss' (--loss); it has 'train/loss', 'weight_norm'" in err


def test_a_history_with_its_learning_rate_as_json(tmp_path, capsys):
    path = write_history(tmp_path / "h.csv", **{"train/learning_rate": 0.1, "weight_decay": 0.01})
    code, out, err = diagnose(capsys, path, "--json")
    verdict = json.loads(out)["h.csv"]
    assert (code, verdict["label"], len(verdict["events"])) == (0, "periodic", 3)
    assert "lr = 'train/learning_rate', weight_decay = 'weight_decay'" in err
    code, out, _ = diagnose(capsys, path)
    assert "h.csv: periodic: 3 jumps, one every" in out and verdict["headline"] in out


def test_charts_of_several_runs(tmp_path, capsys):
    frame = ROWS.set_index("step")
    runs = dict.fromkeys(("a", "b"), frame["loss"])
    loss = write_chart(tmp_path / "l.csv", "train/loss", **runs)
    norm = write_chart(tmp_path / "n.csv", "weight_norm", a=frame["norm"])
    code, out, err = diagnose(capsys, loss, norm)
    assert code == 0 and out.startswith("a: periodic") and "b: " not in out
    assert "not judged" in err and "run 'b' has no norm" in err
    code, _, err = diagnose(capsys, loss)
    assert code == 2 and "get_total_norm" in err and "1 more of its runs" in err
    assert len(err.strip().splitlines()) == 1


def test_a_plain_table_needs_its_names_to_be_said(tmp_path, capsys):
    path = tmp_path / "t.csv"
    strange = ROWS.rename(columns={"step": "update", "loss": "nll", "norm": "length"})
    strange.assign(loss=0.0).to_csv(path, index=False)  # a column of that name is another quantity
    said = ["--step", "update", "--loss", "nll", "--norm", "length"]
    code, out, err = diagnose(capsys, path, *said)
    assert (code, err) == (0, "") and PERIODIC in out
    code, _, err = diagnose(capsys, path, "--step", "updates")
    assert code == 2 and "no column 'updates' (--step); it has 'update', 'nll'" in err
    ROWS.rename(columns={"norm": "weight_norm"}).to_csv(path, index=False)
    code, _, err = diagnose(capsys, path)
    assert code == 2 and "rename 'weight_norm' to 'norm', or say --norm 'weight_norm'" in err
    assert diagnose(capsys, path, "--norm", "weight_norm")[0] == 0
    ROWS[["step", "loss"]].to_csv(path, index=False)
    code, _, err = diagnose(capsys, path)
    assert code == 2 and "no column 'norm'" in err and "get_total_norm" in err


def test_a_folder_of_records_and_events_is_judged_whole(tmp_path, capsys):
    steps = pd.DataFrame({**dict.fromkeys(STEP_COLUMNS, 1.0), "step": range(40)})
    with RunFolder(tmp_path / "recorded", Run(), {}) as folder:
        folder.append(steps, pd.DataFrame({"epoch": [0], "step": [0], "norm": [1.0]}))
    write_events(tmp_path / "logs" / "version_0")
    write_events(tmp_path / "lossless", ROWS.head(5), norm=None)
    code, out, err = diagnose(capsys, tmp_path)
    headings = [line for line in out.splitlines() if ": periodic" in line or "recorded: " in line]
    assert code == 0 and len(headings) == 2 and headings[1].startswith("logs/version_0: periodic: ")
    assert "not judged" in err and "lossless" in err
    for file in (tmp_path / "logs" / "version_0").iterdir():
        file.unlink()
    code, out, err = diagnose(capsys, tmp_path)
    assert code == 0 and out.startswith("recorded: ") and "lossless" in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as a table"),
        (b"\xff\xfe\x00\x01garbage", "cannot be read as a table"),
        (b"Step,a - loss,a - loss__MIN\n0,x,y\n", "'a - loss' does not hold numbers"),
        (b",_step,_runtime,_timestamp,train/loss\n0,0,1,1,2.5\n", "has no norm by a usual name"),
        (b",_step,_runtime,loss,norm\n0,0,1,,\n", "'loss' holds no numbers"),
    ],
)
def test_malformed_files_are_refused_in_one_line(tmp_path, capsys, content, said):
    (tmp_path / "t.csv").write_bytes(content)
    code, _, err = diagnose(capsys, tmp_path / "t.csv")
    assert code == 2 and said in err and len(err.strip().splitlines()) == 1


def test_what_cannot_be_taken_together_is_refused(events, tmp_path, capsys):
    ROWS.to_csv(tmp_path / "t.csv", index=False)
    for arguments, said in (
        ([tmp_path / "t.csv", tmp_path / "t.csv"], "only where all are exports"),
        ([events, events], "one folder at a time"),
        ([events, "--step", "global_step"], "leave out --step"),
    ):
        code, _, err = diagnose(capsys, *arguments)
        assert code == 2 and said in err


def excel(path):
    ROWS.to_csv(path, sep=";", decimal=",", index=False, encoding="utf-8-sig")


def log_history(path):
    loss = ROWS.rename(columns={"norm": "weight_norm"}).assign(learning_rate=0.1)
    rows = pd.concat([loss.drop(columns="weight_norm"), loss[["step", "weight_norm"]]])
    rows = rows.sort_values("step", kind="stable").assign(eval_loss=None, total_flos=None)
    last = {"step": 2_399, "train_loss": 0.5, "train_runtime": 9.0, "total_flos": 0.0}
    pd.concat([rows, pd.DataFrame([last])]).to_csv(path, index=False)


def lightning(path):
    loss = ROWS[["step", "loss"]].rename(columns={"loss": "train_loss"}).assign(epoch=0)
    validation = pd.DataFrame({"step": ROWS["step"][::50], "val_loss": 1.0})
    rows = pd.concat([loss, ROWS[["step", "norm"]], validation])
    rows.sort_values("step", kind="stable").to_csv(path, index=False)


def keras(path):
    ROWS.rename(columns={"step": "epoch"}).to_csv(path, index=False)


def trainer_state(path):
    rows = ROWS.rename(columns={"norm": "weight_norm"}).to_dict("records")
    path.write_text(json.dumps({"global_step": len(rows), "log_history": rows}))


def json_lines(path):
    path.write_text(ROWS.to_json(orient="records", lines=True))


def megatron(path):
    line = " iteration {:8.0f}/ 9000 | lm loss: {:.6E} | grad norm: 0.2 | params norm: {:.3f} |\n"
    path.write_text("".join(line.format(*row) for row in ROWS.itertuples(index=False)))


def wandb_parquet(path):
    calls = []
    for step, loss, norm in ROWS.itertuples(index=False):
        calls += [{"global_step": step, "train/loss": loss}, {"weight_norm": norm}]
    frame = pd.DataFrame(calls).assign(_step=range(len(calls)), _timestamp=0.0)
    frame.to_parquet(path)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (excel, "t.csv"),
        (log_history, "t.csv"),
        (lightning, "metrics.csv"),
        (keras, "t.csv"),
        (trainer_state, "trainer_state.json"),
        (json_lines, "metrics.jsonl"),
        (megatron, "out.log"),
        (wandb_parquet, "history.parquet"),
    ],
)
def test_what_people_paste_is_read(tmp_path, capsys, write, name):
    write(tmp_path / name)
    code, out, err = diagnose(capsys, tmp_path / name)
    assert code == 0, err
    assert out.startswith(f"{name}: periodic: ") and PERIODIC in out


def test_runs_of_mlflow_are_found_in_a_folder(tmp_path, capsys):
    for store in ("a", "b"):  # of equal names, none hides another
        write_mlruns(tmp_path / store)
    code, out, err = diagnose(capsys, tmp_path)
    assert code == 0 and out.startswith("mine: periodic: ") and "\nmine (2): periodic" in out
    assert "taken: loss = 'train/loss', norm = 'weight_norm'" in err


def test_runs_in_one_table_are_told_apart(tmp_path, capsys):
    frames = [ROWS.assign(run=name) for name in ("a", "b")]
    pd.concat(frames).to_csv(tmp_path / "t.csv", index=False)
    code, out, _ = diagnose(capsys, tmp_path / "t.csv")
    assert code == 0 and out.startswith("a: periodic: ") and "\nb: periodic: " in out


def test_what_counts_as_stuck_can_be_said(tmp_path, capsys):
    still = ROWS.head(500).assign(loss=2.9, norm=40.0)
    still.to_csv(tmp_path / "t.csv", index=False)
    assert diagnose(capsys, tmp_path / "t.csv", "--stuck-above", "3")[1].startswith(
        "t.csv: equilibrium"
    )
    assert diagnose(capsys, tmp_path / "t.csv", "--stuck-above", "2")[1].startswith("t.csv: stuck")
    code, _, err = diagnose(capsys, tmp_path / "t.csv", "--stuck-above", "-1")
    assert code == 2 and "--stuck-above must be" in err


def test_a_refusal_names_the_file_and_a_cell(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("step,loss,norm\n0,1,2\n1,high,2\n")
    code, _, err = diagnose(capsys, tmp_path / "t.csv")
    assert code == 2
    assert err == "limitcycle: t.csv: column 'loss' does not hold numbers (row 1 holds 'high')\n"


def test_notes_of_reading_are_in_the_json(tmp_path, capsys):
    json_lines(tmp_path / "m.jsonl")
    with (tmp_path / "m.jsonl").open("a") as file:
        file.write('{"step": 1')
    code, out, _ = diagnose(capsys, tmp_path / "m.jsonl", "--json")
    assert code == 0
    assert (
        "lines left out because they are no JSON objects: 1" in json.loads(out)["m.jsonl"]["notes"]
    )


def test_folders_without_a_run_are_refused(tmp_path, capsys):
    code, _, err = diagnose(capsys, tmp_path)
    assert code == 2 and "there is no run in" in err and "event file of TensorBoard" in err
    (tmp_path / "events.out.tfevents.1.x").write_bytes(b"garbage")
    code, _, err = diagnose(capsys, tmp_path)
    assert code == 2 and "hold no scalars" in err


def test_a_long_reading_is_announced(tmp_path, capsys):
    write_events(tmp_path, ROWS.head(50))
    (tmp_path / "events.out.tfevents.2.x").write_bytes(bytes(30_000_000))
    code, _, err = diagnose(capsys, tmp_path)
    assert code == 0 and err.startswith("reading 30 MB of event files, about 20 seconds")


def test_a_restarted_tensorboard_run_is_told(tmp_path, capsys):
    write_events(tmp_path, ROWS.head(600), filename_suffix=".a")
    write_events(tmp_path, ROWS.iloc[500:], filename_suffix=".b")
    code, out, err = diagnose(capsys, tmp_path)
    assert code == 0 and PERIODIC in out and "200 earlier values dropped" in err


def test_two_candidates_are_refused_with_the_option(tmp_path, capsys):
    frame = pd.DataFrame({"_step": range(40), "_timestamp": 0.0, "loss": 1.0, "norm": 1.0})
    frame.assign(**{"train/loss": 1.0}).to_csv(tmp_path / "h.csv")
    code, _, err = diagnose(capsys, tmp_path / "h.csv")
    assert code == 2 and "'loss' or 'train/loss' may be the loss: say which with --loss NAME" in err


def grid(path, *names):
    """Runs with tables of some rows, one a folder."""
    steps = pd.DataFrame({**dict.fromkeys(STEP_COLUMNS, 1.0), "step": range(40)})
    for name in names:
        with RunFolder(path / name, Run(), {}) as folder:
            folder.append(steps, pd.DataFrame({"epoch": [0], "step": [0], "norm": [1.0]}))
            folder.set_status("stopped", 40)


def damage(path, kind):
    (part,) = (path / "steps").iterdir()
    if kind == "missing":
        part.unlink()
    elif kind == "content":
        content = bytearray(part.read_bytes())
        content[len(content) // 4] ^= 1
        part.write_bytes(content)
    else:
        (path / kind).write_bytes(b"")


@pytest.mark.parametrize("kind", ["missing", "content", "run.json", "status.json"])
@pytest.mark.parametrize("verb", ["report", "diagnose", "json"])
def test_a_damaged_run_does_not_take_the_others_with_it(tmp_path, capsys, verb, kind):
    grid(tmp_path / "runs", "a", "b", "c")
    page = tmp_path / "page.html"
    command = {
        "report": ["report", str(tmp_path / "runs"), "--out", str(page)],
        "diagnose": ["diagnose", str(tmp_path / "runs")],
        "json": ["diagnose", "--json", str(tmp_path / "runs")],
    }[verb]
    damage(tmp_path / "runs" / "b", kind)
    assert main(command) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith(f"left out: {tmp_path / 'runs' / 'b'}")
    if verb == "report":
        assert page.exists()
    elif verb == "json":
        assert list(json.loads(said.out)) == ["a", "c"]
    else:
        assert "a: " in said.out and "c: " in said.out and "b: " not in said.out
    page.unlink(missing_ok=True)
    for name in ("a", "c"):
        damage(tmp_path / "runs" / name, kind)
    assert main(command) == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1 and "none of 3 runs" in said.err
    assert not said.out and not page.exists()


def test_the_line_that_is_recommended_measures_what_is_scale_invariant():
    """A head that is ten times as long does not count."""
    body = [torch.nn.Linear(8, 16, bias=False), torch.nn.BatchNorm1d(16, affine=False)]
    model = torch.nn.Sequential(*body, torch.nn.ReLU(), torch.nn.Linear(16, 3))
    with torch.no_grad():
        model[3].weight.mul_(100)
    known = {"limitcycle": limitcycle, "torch": torch, "model": model, "batch": torch.randn(32, 8)}
    once, then = re.search(r"once (names = .*?), then (norm = .*?); $", MEASURE).groups()
    exec(once, known)
    exec(then, known)
    assert known["norm"] == pytest.approx(float(model[0].weight.detach().norm()))
