import base64
import dataclasses
import errno
import html
import json
import os
import time
from html.parser import HTMLParser

import numpy as np
import pytest

from limitcycle.errors import RunError, UserError
from limitcycle.reading import diagnose
from limitcycle.reading.clock import Clock
from limitcycle.record import Run
from limitcycle.report import summarise, write_report
from limitcycle.report.page import script_safe
from limitcycle.report.reproduce import command
from limitcycle.report.web import Clocks, encode

EVIL = "</script><script>alert('x')</script><img src=x onerror=alert(1)>&\"'%{x}"


class Outline(HTMLParser):
    """Which elements a browser would see, and the content of the data element."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.data, self.inside = [], [], "", False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.inside = ("id", "limitcycle-data") in attrs

    def handle_data(self, data):
        if self.inside:
            self.data += data

    def handle_endtag(self, tag):
        self.inside = False


def outline(path):
    seen = Outline()
    seen.feed(path.read_text(encoding="utf-8"))
    return seen


def decoded(packed):
    kind = {"f4": "<f4", "f8": "<f8", "i4": "<i4"}[packed["dtype"]]
    return np.frombuffer(base64.b64decode(packed["bdata"]), kind)


def test_the_page_needs_nothing_but_itself(sawtooth, tmp_path):
    seen = outline(write_report([sawtooth()], tmp_path / "new" / "report.html"))
    assert not {"link", "iframe", "object", "base"} & set(seen.tags)
    leads = [value for name, value in seen.attributes if name in ("src", "href")]
    assert [value for value in leads if not value.startswith("#")] == []
    policies = [value for name, value in seen.attributes if name == "content"]
    assert any("default-src 'none'" in policy for policy in policies)


def test_the_data_of_the_page_is_the_data_of_the_run(sawtooth, tmp_path):
    run = sawtooth()
    data = json.loads(outline(write_report([run], tmp_path / "r.html")).data)
    norm = next(panel for panel in data["panels"] if panel["name"] == "norm")
    (trace,) = norm["traces"]
    assert np.array_equal(decoded(trace["y"]), run.steps["norm"].to_numpy(np.float32))
    clock = data["clocks"][trace["clock"]]
    assert np.array_equal(decoded(clock["steps"]), run.steps["step"])
    assert clock["epochs"] == pytest.approx(0.1) and clock["periods"] == pytest.approx(0.0015)


def test_names_are_escaped_on_every_road(sawtooth, tmp_path):
    run = dataclasses.replace(
        sawtooth(EVIL), status={"state": "stopped", "reason": EVIL}, info={EVIL: EVIL}
    )
    path = write_report([run, dataclasses.replace(run, run=None)], tmp_path / "r.html", title=EVIL)
    text = path.read_text(encoding="utf-8")
    assert "<img" not in text and "alert('x')</script>" not in text
    seen = outline(path)
    assert "img" not in seen.tags and seen.tags.count("script") == 3
    label = json.loads(seen.data)["panels"][0]["traces"][0]["name"]
    assert html.unescape(label).replace("\u200b", "") == EVIL
    assert "<" not in label and "%{x}" not in label


def test_json_cannot_leave_its_element():
    text = script_safe({"name": "</script><!--\u2028"})
    assert "<" not in text and "\u2028" not in text
    assert json.loads(text) == {"name": "</script><!--\u2028"}


@pytest.mark.slow
def test_eight_long_runs_are_small_quick_and_complete(sawtooth, tmp_path):
    periods = [50_000, 20_000, 8_000, 3_000, 1_500, 700, 300, 140]
    runs = [
        sawtooth(f"run{at}", rows=400_000, period=period, lr=0.3 + at, weight_decay=0.4 / period)
        for at, period in enumerate(periods)
    ]
    began = time.perf_counter()
    path = write_report(runs, tmp_path / "r.html")
    assert time.perf_counter() - began < 5 * len(runs)
    assert path.stat().st_size <= 8e6
    data = json.loads(outline(path).data)
    loss = next(panel for panel in data["panels"] if panel["name"] == "loss")["traces"]
    for at, summary in enumerate(summarise(runs)):
        raw = next(trace for trace in loss if trace["run"] == at)
        steps = decoded(data["clocks"][raw["clock"]]["steps"])
        triangles = next(t for t in loss if t["run"] == at and t["mode"] == "markers")
        peaks = decoded(data["clocks"][triangles["clock"]]["steps"])
        assert len(peaks) == summary.destabilisations == 399_999 // periods[at]
        assert set(peaks) <= set(steps)


def test_opening_a_long_run_takes_seconds(sawtooth, tmp_path):
    run = sawtooth(rows=400_000, period=2_000)
    began = time.perf_counter()
    write_report([run], tmp_path / "r.html")
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("rows", [0, 1, 29])
def test_a_run_that_has_only_begun(sawtooth, tmp_path, rows):
    data = json.loads(outline(write_report([sawtooth(rows=rows)], tmp_path / "r.html")).data)
    assert "no complete period" in data["runs"][0]["period"]["text"]


def test_a_diverged_run_keeps_what_was_finite(sawtooth, tmp_path):
    run = sawtooth()
    steps = run.steps.copy()
    steps.loc[2_500:, ["loss", "norm", "effective_grad_norm"]] = [np.nan, np.inf, 1e300]
    run = dataclasses.replace(run, steps=steps)
    data = json.loads(outline(write_report([run], tmp_path / "r.html")).data)
    drawn = decoded(data["panels"][0]["traces"][0]["y"])
    assert np.isfinite(drawn[:2_500]).all() and np.isnan(drawn[2_500:]).all()
    (summary,) = summarise([run])
    assert np.isfinite(summary.effective_lr).all()


def test_the_summary_in_numbers(sawtooth):
    run = sawtooth(rows=6_000, period=600)
    (summary,) = summarise([run])
    assert summary.period == pytest.approx(600, abs=2) and summary.destabilisations == 9
    late = run.steps["effective_lr"][3_000:]
    assert summary.effective_lr == pytest.approx((late.min(), late.max()), rel=1e-2)
    assert summary.final_error == run.epochs["test_error"].iloc[-1]
    assert "periodic" in summary.verdict.lower()


def test_no_weight_decay_takes_one_axis_off_the_page(sawtooth, tmp_path):
    runs = [sawtooth("a"), sawtooth("control", weight_decay=0.0)]
    data = json.loads(outline(write_report(runs, tmp_path / "r.html")).data)
    assert "'control'" in data["axisMissing"]["periods"] and not data["axisMissing"]["epochs"]
    with pytest.raises(UserError, match="weight decay"):
        write_report(runs, tmp_path / "r.html", axis="periods")


def test_a_place_that_cannot_be_written(sawtooth, tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        write_report([sawtooth()], tmp_path)


def test_with_momentum_the_page_says_nothing_of_the_line(sawtooth, tmp_path):
    run = sawtooth()
    moving = dataclasses.replace(run, run=dataclasses.replace(run.run, momentum=0.9))
    pages = [write_report([each], tmp_path / "r.html") and outline(tmp_path / "r.html")
             for each in (run, moving)]  # fmt: skip
    plain, without = (json.loads(page.data) for page in pages)
    assert plain["runs"][0]["threshold"] == pytest.approx(np.sqrt(0.0015 * (2 - 0.0015)))
    assert without["runs"][0]["threshold"] is None
    assert "no line of balance" in without["loop"]["note"]


def test_a_full_disk_leaves_the_page_that_was_there(sawtooth, tmp_path, monkeypatch):
    page = write_report([sawtooth(rows=200)], tmp_path / "r.html")
    before = page.read_bytes()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device; what was there is as it was"):
        write_report([sawtooth(rows=300)], page)
    assert page.read_bytes() == before and list(tmp_path.iterdir()) == [page]


def test_a_clock_travels_once():
    clocks, steps = Clocks(), np.arange(5.0)
    assert clocks.index(Clock(steps)) == clocks.index(Clock(steps.copy())) == 0
    assert clocks.index(Clock(steps, steps / 10)) == 1
    irregular = np.sqrt(steps)
    assert clocks.index(Clock(steps, steps / 10, irregular)) == 2
    assert clocks.encoded[2]["epochs"] == pytest.approx(0.1)
    assert np.array_equal(decoded(clocks.encoded[2]["periods"]), irregular)


def test_numbers_survive_the_journey():
    values = np.array([1.5, np.nan, -2e-30])
    assert np.array_equal(decoded(encode(values)), values.astype(np.float32), equal_nan=True)


def test_how_to_reproduce():
    words = command(Run(lr=0.3, batch_size=None), "out dir")
    assert words.startswith(
        "limitcycle train --net mlp --data digits --lr 0.3 --weight-decay 0.001"
    )
    assert "--batch-size full" in words and words.endswith("--out 'out dir'")
    python = command(Run(lr=0.3, fixed_norm="start"), "out")
    made = {}
    exec(
        python.split("\n")[1]
        .replace("lc.train(lc.Run", "made.update(run=Run")
        .replace(", 'out')", ")")
    )
    assert made["run"] == Run(lr=0.3, fixed_norm="start")


def test_the_page_says_what_the_door_says(sawtooth, tmp_path):
    run = sawtooth(rows=3_000)
    page = write_report([run], tmp_path / "r.html").read_text(encoding="utf-8")
    found = diagnose(run)
    assert found.advice.text in str(found)
    for said in (str(found), found.headline):
        assert html.escape(said) in page
