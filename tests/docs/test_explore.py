"""The page with sliders: what it computes is the theory's, and its controls do what they say."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from limitcycle.theory import growth_threshold, rayleigh_oscillator
from tests.report.conftest import BROWSER, DRIVER, started_browser

PAGE = Path(__file__).parents[2] / "docs" / "explore" / "oscillator.html"
in_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium with chromedriver here"),
]


def test_the_page_needs_nothing_else():
    """No address of anything outside, and no file beside it."""
    text = PAGE.read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=|https?://|url\(|@import|fetch\(""", text)


def test_the_recorded_network_is_there_and_consistent():
    text = PAGE.read_text(encoding="utf-8")
    content = json.loads(re.search(r'id="recorded" type="application/json">(.*?)<', text)[1])
    assert set(content) == {"jumps", "stops", "held"}
    for run in content.values():
        rows = len(run["step"])
        assert rows > 500 and (np.diff(run["step"]) > 0).all()
        for name in ("norm", "rate", "gradient", "distance"):
            assert len(run[name]) == rows
        rate = run["eta"] / np.square(run["norm"])
        assert np.allclose(run["rate"], rate, rtol=2e-3)
    assert len(content["jumps"]["jumps"]) >= 5 and content["stops"]["jumps"] == []
    assert np.ptp(content["held"]["norm"]) < 1e-3 * max(content["held"]["norm"])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Runs JavaScript in the page."""
    driver = started_browser(tmp_path_factory.mktemp("profile"))
    driver.set_window_size(1_300, 1_300)
    driver.get(PAGE.as_uri())
    assert driver.execute_script("return document.body.dataset.ready") == "yes"
    yield driver.execute_script
    errors = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    driver.quit()
    assert not errors


class TestInABrowser:
    pytestmark = in_browser

    @pytest.mark.parametrize(("eta", "lam"), [(0.1, 0.05), (0.3, 0.01), (0.05, 0.0), (0.9, 0.4)])
    def test_it_computes_what_the_theory_computes(self, page, eta, lam):
        """Compared before the chaos of many jumps takes the last digits away."""
        steps = 300 if eta < 0.5 else 40
        found = page(f"return simulate({eta}, {lam}, {steps}, false)")
        true = rayleigh_oscillator((1.0, 0.5), eta, lam, steps)
        assert np.allclose(found["norm"], np.sqrt(true.squared_norm[:-1]), rtol=1e-6)
        assert np.allclose(found["distance"], true.cosine_distance, rtol=1e-6, atol=1e-13)
        gradient = true.effective_gradient[:-1]
        assert np.allclose(found["gradient"], gradient, rtol=1e-5, atol=1e-12)
        rate = eta / true.squared_norm[:-1]
        assert np.allclose(found["rate"], rate, rtol=1e-6)

    def test_above_the_line_the_norm_grows_and_nowhere_else(self, page):
        run = page("return simulate(0.1, 0.05, 1000, false)")
        grows = np.diff(run["norm"]) > 0
        product = np.array(run["rate"]) * np.array(run["gradient"])
        assert page("return growth(0.1, 0.05)") == pytest.approx(float(growth_threshold(0.1, 0.05)))
        assert ((product > page("return growth(0.1, 0.05)"))[:-1] == grows).all()

    def test_a_jump_is_a_step_above_delta(self, page):
        run = page("return simulate(0.1, 0.05, 1000, false)")
        above = np.array(run["distance"]) > 0.1
        first = np.flatnonzero(above & ~np.concatenate([[False], above[:-1]]))
        assert page("return jumpsOf(simulate(0.1, 0.05, 1000, false), 0.1)") == first.tolist()

    def test_make_it_stop_and_make_it_jump(self, page):
        page("document.getElementById('stop').click()")
        assert page("return jumps.length") == 0
        assert "No jump" in page("return document.getElementById('small-said').textContent")
        assert "weight decay 0." in page("return document.getElementById('real-said').textContent")
        assert page("return document.getElementById('lam-said').textContent") == "0"
        page("document.getElementById('jump').click()")
        assert page("return jumps.length") >= 3
        assert "jumps in 1,000 steps" in page(
            "return document.getElementById('small-said').textContent"
        )
        assert "periodic" in page("return document.getElementById('real-said').textContent")

    def test_a_held_norm_does_not_jump(self, page):
        page("document.getElementById('jump').click(); document.getElementById('hold').click()")
        assert page("return jumps.length") == 0
        norm = page("return run.norm")
        assert np.ptp(norm) < 1e-12
        assert "held" in page("return document.getElementById('small-said').textContent")
        page("document.getElementById('hold').click()")
        assert page("return jumps.length") >= 3

    def test_sliders_and_time_change_every_picture(self, page):
        page("document.getElementById('jump').click()")
        shots = "return [...document.querySelectorAll('canvas')].map(c => c.toDataURL())"
        before = page(shots)
        assert len(before) == 8 and len(set(before)) == 8
        page(
            "const s = document.getElementById('time'); s.value = 700;"
            "s.dispatchEvent(new Event('input'))"
        )
        later = page(shots)
        assert all(one != other for one, other in zip(before, later, strict=True))
        page(
            "const s = document.getElementById('eta'); s.value = -0.7;"
            "s.dispatchEvent(new Event('input'))"
        )
        moved = page(shots)
        assert all(one != other for one, other in zip(later[:4], moved[:4], strict=True))

    def test_play_moves_time_and_pauses(self, page):
        page("document.getElementById('time').value = 0")
        page("document.getElementById('play').click()")
        page("return new Promise(done => setTimeout(done, 400))")
        assert page("return document.getElementById('play').textContent") == "Pause"
        page("document.getElementById('play').click()")
        assert int(page("return document.getElementById('time').value")) > 0

    def test_every_control_has_a_name_and_nothing_is_wider_than_the_page(self, page):
        unnamed = page(
            "return [...document.querySelectorAll('input')].filter(i => !i.labels.length).length"
        )
        assert unnamed == 0
        assert page(
            "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
