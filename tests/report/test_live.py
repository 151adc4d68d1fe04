"""Runs seen while they are trained: what is kept of them, who may ask, what is answered."""

import http.client
import json
import queue
import threading
import time

import numpy as np
import pandas as pd
import pytest

from limitcycle.cli.main import main
from limitcycle.errors import UserError
from limitcycle.reading import diagnose
from limitcycle.record import Run
from limitcycle.record.folder import RunFolder
from limitcycle.record.watched import WatchedFolder
from limitcycle.report.live import serve
from limitcycle.report.live.bins import MOST, Extremes, GroupMeans
from limitcycle.report.live.board import STILL_AFTER, Board
from limitcycle.report.live.followed import Followed
from tests.report.conftest import epoch_table, sawtooth_table

RULE = {
    "name": "SGD", "scaling": "gradient", "decays": True, "nesterov": False, "equilibrium": "sgd",
}  # fmt: skip
GROUPS = ("conv1.weight", "conv2.weight")


def grouped(steps):
    """A group table beside ``steps``."""
    both = steps.loc[steps.index.repeat(len(GROUPS))].reset_index(drop=True)
    columns = ["step", "norm", "grad_norm", "lr", "weight_decay", "effective_lr"]
    return both[columns].assign(group=np.tile(GROUPS, len(steps)), rotation=1e-3)


class Training:
    """A run that is being watched, block by block."""

    def __init__(self, path, rows=6_000, **table):
        self.steps = sawtooth_table(rows=rows, **table).drop(columns="epoch").assign(momentum=0.0)
        info = {"watched": {"update_rule": RULE, "dtypes": {}, "notes": []}}
        self.folder = WatchedFolder(path, info)
        self.folder.__enter__()
        self.at = 0

    def go_on(self, rows):
        block = self.steps.iloc[self.at : self.at + rows]
        self.folder.append(block, grouped(block))
        self.at += len(block)

    def end(self, state="done"):
        self.folder.set_status(state, self.at)


@pytest.fixture
def training(tmp_path):
    made = []

    def begin(name="mine", **table):
        made.append(Training(tmp_path / "runs" / name, **table))
        return made[-1]

    (tmp_path / "runs").mkdir()
    yield begin
    for each in made:
        each.folder.__exit__(None, None, None)


# ---- what is kept ------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [[5_000], [1] * 40 + [960, 4_000], [512] * 10])
def test_extremes_and_means_are_kept_however_the_rows_come(blocks):
    table = sawtooth_table(rows=sum(blocks), period=700)
    kept, at = Extremes(("loss", "norm"), ("loss",)), 0
    for rows in blocks:
        kept.add(table.iloc[at : at + rows])
        at += rows
    assert len(kept.rows) <= 6 * MOST
    for name in ("loss", "norm"):
        assert kept.rows[name].min() == table[name].min()
        assert kept.rows[name].max() == table[name].max()
    joined = kept.rows.merge(table, on="step", suffixes=("", "_true"))
    assert np.array_equal(joined["loss"], joined["loss_true"]) and len(joined) == len(kept.rows)
    assert kept.rows["step"].is_monotonic_increasing and kept.rows["step"].is_unique
    middle = kept.means("loss")[len(kept.rows) // 2 :].mean()
    assert middle == pytest.approx(table["loss"][len(table) // 2 :].mean(), rel=0.5)


def test_an_excursion_of_one_step_survives_a_million():
    kept = Extremes(("loss",))
    for first in range(0, 1_000_000, 50_000):
        step = np.arange(first, first + 50_000)
        kept.add(pd.DataFrame({"step": step, "loss": np.where(step == 123_456, 9.0, 1.0)}))
    assert len(kept.rows) <= 3 * MOST
    assert kept.rows.loc[kept.rows["loss"] == 9.0, "step"].tolist() == [123_456]


def test_what_is_missing_or_infinite_costs_nothing():
    kept = Extremes(("loss", "norm"), ("loss",))
    kept.add(pd.DataFrame({"step": [0, 1, 2], "loss": [np.nan, np.inf, 3.0]}))
    kept.add(pd.DataFrame())
    assert kept.rows["loss"].max() == np.inf or 3.0 in kept.rows["loss"].to_numpy()
    assert np.isfinite(kept.means("loss")).all()


def test_means_of_groups_are_those_of_all_rows():
    step = np.repeat(np.arange(4_000), 2)
    table = pd.DataFrame({"step": step, "group": np.tile(GROUPS, 4_000), "rotation": 2.0})
    table.loc[table["group"] == "conv2.weight", "rotation"] = 5.0
    means = GroupMeans(("rotation", "norm"))
    for first in range(0, 8_000, 1_000):
        means.add(table.iloc[first : first + 1_000])
    grids = means.grids()
    assert list(grids) == ["rotation"] and grids["rotation"].shape[1] <= MOST // 2
    assert np.allclose(grids["rotation"][0], 2.0) and np.allclose(grids["rotation"][1], 5.0)
    assert means.edges()[-1] >= 4_000


# ---- a folder that is being written -------------------------------------------------------------


def test_what_comes_is_read_and_judged(training, tmp_path):
    run = training()
    run.go_on(1_000)
    followed = Followed(tmp_path / "runs" / "mine")
    assert followed.last_step == 999 and not followed.refresh() and not followed.ended
    run.go_on(4_000)
    assert followed.refresh() and followed.last_step == 4_999
    assert followed.wants_reading()
    followed.diagnose()
    assert not followed.wants_reading()
    whole = diagnose(tmp_path / "runs" / "mine")
    assert len(followed.diagnosis.events) == len(whole.events) > 5
    assert followed.foresee() and not followed.foresee()
    assert followed.forecast.median == pytest.approx(whole.forecast.median, rel=0.05)
    run.end()
    assert followed.refresh() and followed.ended


def test_groups_are_seen_with_their_steps(training, tmp_path):
    run = training()
    run.go_on(500)
    followed = Followed(tmp_path / "runs" / "mine")
    run.go_on(500)
    followed.refresh()
    found = followed.depth()
    assert found.groups == GROUPS and np.isfinite(found.grids["rotation"]).all()


def test_a_part_counts_when_the_status_says_so(training, tmp_path):
    """Else the steps of a block would be taken in before its groups are written."""
    run = training()
    run.go_on(500)
    followed = Followed(tmp_path / "runs" / "mine")
    status = (tmp_path / "runs" / "mine" / "status.json").read_text()
    run.go_on(500)
    behind = tmp_path / "runs" / "mine" / "status.json"
    ahead = behind.read_text()
    behind.write_text(status)
    assert not followed.refresh() and followed.last_step == 499
    behind.write_text(ahead)
    assert followed.refresh() and followed.last_step == 999


def test_a_run_that_goes_back_is_read_anew(training, tmp_path):
    run = training()
    run.go_on(1_000)
    run.go_on(1_000)
    followed = Followed(tmp_path / "runs" / "mine")
    assert followed.last_step == 1_999
    run.folder.go_back(1_500)
    run.at = 1_500
    run.go_on(100)
    assert followed.refresh() and followed.last_step == 1_599
    assert followed.history("x").clock.steps[-1] == 1_599


def test_the_lab_and_the_watch_are_followed_alike(tmp_path):
    steps = sawtooth_table(rows=2_000, period=400).assign(momentum=0.0)
    path = tmp_path / "lab"
    with RunFolder(path, Run(lr=0.3, weight_decay=0.005, steps=4_000), {"epoch_steps": 10}) as run:
        run.resume()
        run.save(2_000, steps, epoch_table(steps), {"x": np.zeros(2)})
        run.set_status("running", 2_000)
        history = Followed(path).history("lab")
    assert history.clock.epochs is not None and len(history.test_error) > 10
    assert np.isfinite(history.columns["effective_lr"]).all()


@pytest.mark.slow
def test_a_refresh_costs_the_same_however_long_the_run(training, tmp_path):
    """Milliseconds: the best of several, so that a busy machine does not decide."""
    costs = {}
    for name, rows in (("short", 3_000), ("long", 60_000)):
        run = training(name, rows=rows + 2_000)
        for _ in range(rows // 1_000):
            run.go_on(1_000)
        board = Board(tmp_path / "runs" / name)
        board.refresh()
        took = []
        for _ in range(8):
            run.go_on(50)
            began = time.perf_counter()
            assert board.refresh() == 1
            took.append(time.perf_counter() - began)
        costs[name] = min(took)
    assert costs["long"] < 3 * costs["short"] + 0.01 and costs["long"] < 0.15


def test_the_board_sees_runs_begin_and_end(training, tmp_path):
    now = [0.0]
    board = Board(tmp_path / "runs", clock=lambda: now[0])
    assert board.refresh() == 0 and not board.over
    assert json.loads(board.answer([])) == {
        "state": {"versions": [], "states": [], "over": False, "table": "", "problems": []},
        "runs": {},
    }
    one = training("one")
    one.go_on(700)
    now[0] += 10
    assert board.refresh() == 1
    two = training("two", lr=0.1)
    two.go_on(700)
    now[0] += 10
    assert board.refresh() == 1
    told = json.loads(board.answer([1]))
    assert list(told["runs"]) == ["1"] and told["state"]["states"] == ["running", "running"]
    assert {trace["run"] for trace in told["runs"]["1"]["panels"][0]["traces"]} == {1}
    one.end()
    two.end("failed")
    board.refresh()
    assert not board.over
    now[0] += STILL_AFTER + 1
    board.refresh()
    assert board.over


def test_a_long_run_is_shown_before_it_is_judged(training, tmp_path):
    training(rows=7_000).go_on(7_000)
    board = Board(tmp_path / "runs")
    board.refresh()
    shown = json.loads(board.answer([]))["runs"]["0"]
    assert shown["run"]["pending"] == "Reading 7,000 rows" and shown["panels"][0]["traces"]
    assert board.read_again() == 1
    judged = json.loads(board.answer([]))["runs"]["0"]["run"]
    assert judged["pending"] == "" and judged["headline"].startswith("periodic")


def test_a_damaged_run_is_named_and_the_others_go_on(training, tmp_path):
    training("one").go_on(300)
    (tmp_path / "runs" / "bad").mkdir()
    (tmp_path / "runs" / "bad" / "run.json").write_text("{")
    board = Board(tmp_path / "runs")
    assert board.refresh() == 1
    state = json.loads(board.answer([]))["state"]
    assert len(state["states"]) == 1 and "run.json" in state["problems"][0]


def test_the_forecast_is_a_band_in_steps_of_the_run(training, tmp_path):
    run = training()
    run.go_on(4_000)
    board = Board(tmp_path / "runs")
    board.refresh()
    board.read_again()
    first = json.loads(board.answer([]))["runs"]["0"]["run"]["forecast"]
    assert first["low"] <= first["median"] <= first["high"] and first["median"] > 3_999
    run.go_on(600)
    board.refresh()
    board.read_again()
    moved = json.loads(board.answer([]))["runs"]["0"]["run"]["forecast"]
    assert moved["median"] > first["median"]
    run.end()
    board.refresh()
    assert json.loads(board.answer([]))["runs"]["0"]["run"]["forecast"] is None


# ---- who may ask --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "runs"
    folder.mkdir()
    run = Training(folder / "mine")
    run.go_on(700)
    told = queue.Queue()
    options = {"ready": told.put, "token": "let-me-in"}
    server = threading.Thread(target=_quietly, args=(folder,), kwargs=options)
    server.start()
    yield told.get(timeout=60), run
    _STOP.set()
    server.join(timeout=30)
    run.folder.__exit__(None, None, None)
    assert not server.is_alive()


_STOP = threading.Event()


class Ending(Board):
    """A board that is over when the test is."""

    @property
    def over(self):
        return _STOP.is_set()

    def refresh(self):
        return 0 if _STOP.is_set() else super().refresh()


def _quietly(folder, **options):
    serve(folder, board=Ending(folder), **options)


def ask(address, path="/state", token="let-me-in", method="GET", **headers):
    port = int(address.split(":")[2].split("/")[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        given["X-Limitcycle-Token"] = token
    connection.putrequest(method, path, skip_host="Host" in given)
    for name, value in given.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, answer.headers


def test_who_knows_the_token_is_answered_and_nobody_else(served):
    address, _ = served
    port = address.split(":")[2].split("/")[0]
    assert address == f"http://127.0.0.1:{port}/?token=let-me-in"
    status, body, headers = ask(address)
    assert status == 200 and json.loads(body)["state"]["states"] == ["running"]
    assert headers["Cache-Control"] == "no-store" and "server" not in headers
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    status, body, _ = ask(address, "/?token=let-me-in", token="")
    assert status == 200 and "<h1>Live: " in body
    own = {"Origin": f"http://127.0.0.1:{port}", "Sec_Fetch_Site": "same-origin"}
    assert ask(address, **own)[0] == 200
    for token in ("", "let-me-im", "LET-ME-IN", "let-me-i"):
        assert ask(address, token=token)[0] == 403
        assert ask(address, "/", token=token)[0] == 403
    assert ask(address, "/?token=", token="")[0] == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Host": "127.0.0.1.evil.example:80"}, 421),
    ],
)
def test_foreign_pages_are_refused_even_with_the_token(served, headers, status):
    answer = ask(served[0], **headers)
    assert answer[0] == status and "state" not in answer[1] and len(answer[1].splitlines()) == 1


@pytest.mark.parametrize(
    "path",
    ["/../run.json", "/..", "/state/../../etc/passwd", "/%2e%2e/run.json", "/%2e%2e%2frun.json",
     "/runs/mine/run.json", "//state", "/state/", "/./state", "/%73tate"],
)  # fmt: skip
def test_no_path_leads_to_a_file(served, path):
    status, body, _ = ask(served[0], path)
    assert status == 404 and body == "there is no such page\n"


def test_nothing_but_reading_is_answered(served):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(served[0], method=method)[0] == 405


def test_odd_questions_are_answered_all_the_same(served):
    for seen in ("", "x", "1.2.3", "-1", "9" * 30, "." * 5_000):
        assert ask(served[0], f"/state?seen={seen}")[0] == 200


def test_the_training_does_not_notice(served):
    """Nothing is written into its folder, and it may be written meanwhile."""
    address, run = served
    folder = run.folder.path.parent
    before = sorted(str(path) for path in folder.rglob("*"))
    versions = json.loads(ask(address)[1])["state"]["versions"]
    assert sorted(str(path) for path in folder.rglob("*")) == before
    run.go_on(500)
    for _ in range(200):
        now = json.loads(ask(address)[1])["state"]["versions"]
        if now > versions:
            break
        time.sleep(0.1)
    assert now > versions


# ---- the door -----------------------------------------------------------------------------------


def test_runs_that_have_ended_are_for_report(training, tmp_path, capsys):
    run = training()
    run.go_on(300)
    run.end()
    with pytest.raises(UserError, match="have ended: limitcycle report"):
        serve(tmp_path / "runs")
    assert main(["live", str(tmp_path / "runs")]) == 2
    assert "limitcycle report" in capsys.readouterr().err


@pytest.mark.parametrize("given", [["nowhere"], ["."], ["--port", "99999", "."]])
def test_what_cannot_be_served_is_one_line(given, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    given = ["file" if each == "." and "--port" not in given else each for each in given]
    try:
        code = main(["live", *given])
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr().err
    assert code == 2 and len(said.strip().splitlines()) <= 2 and "Traceback" not in said
