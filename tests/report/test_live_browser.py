"""The live page in a real browser, while a run is trained in another process."""

import queue
import subprocess
import sys
import threading
import time

import pytest
from selenium.webdriver.support.ui import WebDriverWait

from limitcycle.record import load
from limitcycle.report.live import board as boards
from limitcycle.report.live import serve
from tests.report.conftest import BROWSER, DRIVER

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium with chromedriver here"),
]
# A training of the user's own, whose rows are written more often than usual, not to take minutes.
TRAINING = """
import sys, time, torch
from pathlib import Path
from torch import nn
import limitcycle as lc
from limitcycle.watching import sinks, watch
watch.READ_AFTER = sinks.SECONDS = 0.5
folder, stop = sys.argv[1], Path(sys.argv[1] + ".stop")
torch.manual_seed(0)
torch.set_num_threads(1)
x, y = torch.randn(512, 20), torch.randint(5, (512,))
model = nn.Sequential(nn.Linear(20, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(),
    nn.Linear(32, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 5))
optimizer = torch.optim.SGD(model.parameters(), lr=1.0, weight_decay=0.003)
with lc.watch(model, optimizer, sink=folder, quiet=True) as w:
    while not stop.exists():
        batch = torch.randint(512, (128,))
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        w.log(loss=loss)
        time.sleep(0.002)
print(w.step)
"""


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The address of the page of an empty folder, and the server's thread."""
    monkeypatch.setattr(boards, "STILL_AFTER", 4.0)
    monkeypatch.setattr(boards, "LOOKED_EVERY", 0.5)
    told = queue.Queue()
    (tmp_path / "runs").mkdir()
    options = {"ready": told.put}
    thread = threading.Thread(target=serve, args=(tmp_path / "runs",), kwargs=options, daemon=True)
    thread.start()
    return told.get(timeout=60), thread


@pytest.fixture
def train():
    """Begins a training in a process of its own; it goes on until there is FOLDER.stop."""
    begun = []

    def begin(folder):
        command = [sys.executable, "-c", TRAINING, str(folder)]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()
        each.communicate()


def test_a_run_is_seen_while_it_is_trained(served, browser, train, tmp_path):
    address, server = served
    browser.get(address)
    said = "return document.getElementById('live-text')?.textContent || ''"
    waits(browser, 120, lambda: "waiting for a run" in browser.execute_script(said))
    one = train(tmp_path / "runs" / "one")
    steps = "return Number(document.body.dataset.steps || -1)"
    waits(browser, 120, lambda: browser.execute_script(steps) > 100)
    seen = [browser.execute_script(steps)]
    assert one.poll() is None, "the run goes on"
    two = train(tmp_path / "runs" / "two")
    for _ in range(3):
        waits(browser, 120, lambda: browser.execute_script(steps) > seen[-1])
        seen.append(browser.execute_script(steps))
    assert one.poll() is None and sorted(set(seen)) == seen
    chips = "return document.querySelectorAll('#runs .chip').length"
    waits(browser, 120, lambda: browser.execute_script(chips) == 2)
    browser.execute_script("document.querySelectorAll('#runs .chip button')[1].click()")
    ranges = "return document.querySelector('#stack .js-plotly-plot').data.map(each => each.run)"
    assert 1 in browser.execute_script(ranges)
    hidden = "return document.getElementById('depth').hidden"
    waits(browser, 120, lambda: browser.execute_script(hidden) is False)
    took = [float(browser.execute_script("return document.body.dataset.took"))]
    print(f"a refresh took the page {took[0]:.0f} ms")
    for name in ("one", "two"):
        (tmp_path / "runs" / f"{name}.stop").touch()
    made = int(one.communicate(timeout=60)[0]), int(two.communicate(timeout=60)[0])
    waits(browser, 120, lambda: "ended" in browser.execute_script(said))
    assert browser.execute_script(steps) >= made[0] - 1
    server.join(timeout=60)
    assert not server.is_alive(), "it ends with the runs"
    assert len(load(tmp_path / "runs" / "one").steps) == made[0]
    time.sleep(2.5)
    complaints = [each["message"] for each in browser.get_log("browser")]
    assert [each for each in complaints if "ERR_CONNECTION_REFUSED" not in each] == []


def test_a_page_of_another_origin_learns_nothing(served, browser, tmp_path):
    """Not even with the token: neither by fetch, nor as a script, nor in a frame."""
    address, _ = served
    page = tmp_path / "evil.html"
    page.write_text("<!doctype html><title>evil</title><body></body>")
    browser.get(page.as_uri())
    state = address.replace("/?", "/state?")
    told = browser.execute_async_script(
        """const [url, done] = arguments;
        fetch(url).then(answer => answer.text()).then(done, () => done('refused'));""",
        state,
    )
    assert told == "refused"
    framed = browser.execute_async_script(
        """const [url, done] = arguments;
        const frame = document.createElement('iframe');
        frame.onload = () => {
            const inside = frame.contentDocument; // null where it is of another origin
            done(inside ? inside.body.textContent : 'refused');
        };
        frame.src = url; document.body.append(frame);""",
        address,
    )
    assert framed == "refused"


def waits(browser, seconds, condition):
    WebDriverWait(browser, seconds).until(lambda _: condition())
