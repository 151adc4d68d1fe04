"""The page in a real browser: it draws, toggles, zooms and walks without a word of complaint."""

import dataclasses
import shutil

import pytest
from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from limitcycle.lab import plane_of
from limitcycle.report import write_map_page, write_report

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no chromium with chromedriver on this machine"
)
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1300,1000",
)
EVIL = "</script><script>window.stolen = 1</script><img src=x onerror='window.stolen = 1'>"
HELPERS = """
const all = [...document.querySelectorAll('#panels .plot')];
const time = all.slice(0, 3), phase = all[3];
const cursor = plot => {
  const at = plot.querySelector('.shapelayer path:last-of-type').getBoundingClientRect();
  return [at.x + at.width / 2, at.y + at.height / 2];
};
const set = (id, value, event) => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event(event));
};
const slide = row => set('slider', row, 'input');
const click = (selector, at) => document.querySelectorAll(selector)[at].click();
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = ChromeOptions()
    options.binary_location = BROWSER
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    """Opens the report of some runs; returns a function that runs JavaScript in it."""

    def show(*runs):
        path = write_report(runs, tmp_path_factory.mktemp("page") / "report.html")
        browser.get(path.as_uri())
        WebDriverWait(browser, 60).until(
            lambda _: browser.execute_script("return document.body.dataset.ready")
        )
        return lambda script: browser.execute_script(HELPERS + script)

    return show


@pytest.fixture(scope="module")
def shared(opened, sawtooth):
    return opened(sawtooth("one"), sawtooth("two", lr=0.1, period=400))


@pytest.fixture
def page(shared, browser):
    """The report of two runs, as it opens; no test may make it complain."""
    shared("set('follow', 0, 'change'); click('#axis button', 0);")
    yield shared
    assert browser.get_log("browser") == []


def wait(browser, run, script):
    WebDriverWait(browser, 20).until(lambda _: run(script))


def test_every_plot_is_drawn(page):
    drawn = page("""return [...document.querySelectorAll('.plot')].map(plot =>
        [...plot.querySelectorAll('.scatterlayer path.js-line')].filter(line =>
            line.getAttribute('d').length > 50).length)""")
    assert len(drawn) == 4 + 6 and min(drawn) > 0
    assert page("return document.querySelectorAll('#verdicts tbody tr').length") == 2


def test_the_page_offers_to_send_nothing(page):
    titles = page("""return [...document.querySelectorAll('.modebar-btn')].map(
        button => button.dataset.title || button.getAttribute('aria-label'))""")
    assert titles and not [title for title in titles if "hare" in title or "loud" in title]


def test_the_slider_moves_the_point_through_phase_diagram_and_time(page):
    places = [page(f"slide({row}); return [phase, ...time].map(cursor)") for row in (50, 500, 900)]
    for plot in range(4):
        assert len({tuple(place[plot]) for place in places}) == 3
    words = page("slide(500); return document.getElementById('readout').textContent")
    assert "step 500" in words and "phase B" in words


def test_the_point_stands_on_its_curve(page):
    """What the cursor marks is the row that the slider names."""
    off = page("""
        slide(700);
        const point = phase.layout.shapes.at(-1);
        const path = phase.data.find(each => each.walk && each.run === 0);
        return [point.xanchor - path.across[700], point.yanchor - path.values[700]];""")
    assert off == [0, 0]


def test_play_walks_by_itself(page, browser):
    row = "return Number(document.getElementById('slider').value)"
    page("click('#play', 0)")
    WebDriverWait(browser, 20).until(lambda _: page(row) > 5)
    page("click('#play', 0)")
    assert page(row) == page(row)


def test_the_legend_switches_a_run_off_and_on_in_all_panels(page, browser):
    def shown(run):
        return page(f"""return all.map(plot => plot.data.filter(
            trace => trace.run === {run} && trace.visible !== false).length)""")

    before = shown(0), shown(1)
    assert min(before[1]) > 0
    page("click('#legend button', 1)")
    WebDriverWait(browser, 20).until(lambda _: max(shown(1)) == 0)
    assert shown(0) == before[0]
    page("click('#legend button', 1)")
    assert shown(1) == before[1]


def test_zoom_in_time_is_one_zoom(page, browser):
    ranges = "return time.map(plot => plot._fullLayout.xaxis.range.map(Math.round))"
    before = page(ranges)
    plot = browser.find_element(By.CSS_SELECTOR, "#panels .plot .nsewdrag")
    drag = ActionChains(browser).move_to_element(plot).click_and_hold()
    drag.move_by_offset(100, 0).release().perform()
    WebDriverWait(browser, 20).until(lambda _: page(ranges)[2] != before[2])
    zoomed = page(ranges)
    assert zoomed[0] == zoomed[1] == zoomed[2]
    assert zoomed[0][1] - zoomed[0][0] < 1_500
    ActionChains(browser).double_click(plot).perform()
    WebDriverWait(browser, 20).until(lambda _: page(ranges) == before)


def test_hovering_tells_the_value(page):
    told = page("""Plotly.Fx.hover(time[2], [{curveNumber: 0, pointNumber: 100}]);
        return time[2].querySelector('.hoverlayer').textContent""")
    assert "η = 0.3" in told and "norm" in told and "100" in told


def test_the_reader_chooses_the_time_axis(page):
    last = """return Math.max(...time.map(plot => plot.data.find(
        each => each.run === 0 && each.mode === 'lines').x.at(-1)))"""
    for button, end in ((1, 299.9), (2, 2_999 * 0.0015), (0, 2_999)):
        page(f"click('#axis button', {button})")
        assert page(last) == pytest.approx(end)
    assert page("return time[0].layout.xaxis.title.text") == "step"


def test_following_another_run_shows_its_period(page):
    text = "return document.getElementById('period-text').textContent"
    assert "600 steps" in page(text)
    page("set('follow', 1, 'change')")
    assert "400 steps" in page(text)


@pytest.mark.slow
def test_names_are_text_and_odd_runs_are_drawn(opened, browser, sawtooth):
    """Markup in a name, a run without a row, with one, one that diverged: nothing complains."""
    diverged = sawtooth("diverged", run=False)
    steps = diverged.steps.copy()
    steps.loc[2_500:, ["loss", "norm", "effective_grad_norm"]] = float("inf")
    run = opened(
        sawtooth(EVIL, run=False),
        sawtooth("empty", rows=0),
        sawtooth("one row", rows=1),
        dataclasses.replace(diverged, steps=steps),
    )
    for at in range(4):
        run(f"set('follow', {at}, 'change'); slide(2900); click('#axis button', 1)")
    assert run("return window.stolen || null") is None
    assert run("return document.querySelector('#legend button').textContent") == EVIL
    assert run("return document.querySelectorAll('img').length") == 0
    assert run("return all.length") == 4
    assert browser.get_log("browser") == []


def test_what_was_not_measured_is_said(opened, browser, sawtooth):
    run = opened(sawtooth("a", measured=False))
    empty = "return [...document.querySelectorAll('.empty')].map(box => box.textContent)"
    assert run(empty) == ["the test error was not measured in these runs"]
    assert browser.get_log("browser") == []


def test_a_map_tells_the_cell_under_the_pointer(browser, tmp_path, mapped):
    plane = plane_of({"lr": [0.1, 1.0, 10.0], "weight_decay": [0.001, 0.003, 0.01]})
    table = mapped(plane).assign(reason=EVIL)
    browser.get(write_map_page(plane, table, tmp_path / "map.html").as_uri())
    WebDriverWait(browser, 60).until(
        lambda _: browser.execute_script("return document.body.dataset.ready")
    )
    plots = browser.find_elements(By.CSS_SELECTOR, "#panels .plot .nsewdrag")
    assert len(plots) == 3
    ActionChains(browser).move_to_element(plots[2]).perform()
    said = WebDriverWait(browser, 20).until(
        lambda _: (text := browser.find_element(By.ID, "said").text).startswith("learning") and text
    )
    assert said.startswith("learning rate η 1, weight decay λ 0.003") and "cells/" in said
    assert EVIL in said and browser.execute_script("return window.stolen") is None
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
