"""The page in a real browser: it draws, toggles, zooms and walks without a word of complaint."""

import dataclasses

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from limitcycle.lab import plane_of
from limitcycle.report import write_map_page, write_report
from tests.report.conftest import BROWSER, DRIVER

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="no chromium with chromedriver on this machine"
    ),
]
EVIL = "</script><script>window.stolen = 1</script><img src=x onerror='window.stolen = 1'>"
HELPERS = """
const stack = document.querySelector('#stack .js-plotly-plot');
const loop = document.getElementById('loop-plot');
const all = [stack, loop];
const text = selector => document.querySelector(selector).textContent;
const set = (id, value, event) => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event(event));
};
const slide = row => set('slider', row, 'input');
const click = (selector, at) => document.querySelectorAll(selector)[at].click();
const follow = run => click('#runs .chip button', run);
const runs = plot => [...new Set(plot.data.map(each => each.run))].filter(
  run => run !== undefined).sort();
const press = key => document.getElementById('stack').dispatchEvent(
  new KeyboardEvent('keydown', { key, bubbles: true }));
const row = () => Number(document.getElementById('slider').value);
const values = () => [...document.querySelectorAll('#stack .values')].map(each => each.textContent);
const hover = (plot, x, y) => plot.dispatchEvent(
  new PointerEvent('pointermove', { clientX: x, clientY: y, bubbles: true }));
"""


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
    shared("follow(1); follow(0); press('Escape'); click('#axis button', 0);")
    yield shared
    assert browser.get_log("browser") == []


def test_every_plot_is_drawn(page):
    drawn = page("""return [...document.querySelectorAll('.js-plotly-plot')].map(plot =>
        [...plot.querySelectorAll('.scatterlayer path.js-line')].filter(line =>
            line.getAttribute('d').length > 50).length)""")
    assert len(drawn) == 2 + 6 and min(drawn) > 0
    assert page("return document.querySelectorAll('#table tbody tr').length") == 2


def test_the_first_screen_says_what_happens_and_what_to_do(page, browser):
    """The sentence, the verdict and the line to copy stand above the charts, all of one run."""
    assert "Weight decay shrinks the norm" in page("return text('#story')")
    assert page("return text('#badge')") == "periodic"
    assert "hold_norm" in page("return text('#code code')")
    assert page("return runs(stack)") == [0]
    bottom = page("return document.getElementById('answer').getBoundingClientRect().bottom")
    top = page("return stack.getBoundingClientRect().top")
    assert bottom < top < browser.get_window_size()["height"] / 2


def test_the_charts_are_one_plot_with_the_quantity_itself(page):
    titles = """return [...document.querySelectorAll('.over > span:nth-of-type(1)')].map(
        each => each.textContent)"""
    assert page(titles) == [
        "Training loss", "Effective learning rate", "Norm of the scale-invariant weights",
        "Test error",
    ]  # fmt: skip
    lefts = page("""return ['xy2', 'xy3', 'xy4', 'xy5'].map(name =>
        stack.querySelector(`.draglayer .${name} .nsewdrag`).getBoundingClientRect()).map(
        box => [box.x, box.width])""")
    assert len(lefts) == 4 and len({tuple(each) for each in lefts}) == 1


def test_jumps_are_lines_through_all_charts(page):
    lines, height = page("""const jumps = stack.data.find(each => each.name === 'jumps');
        return [jumps.x.filter(x => x !== null), stack._fullLayout.yaxis.domain]""")
    assert height == [0, 1]
    assert lines[::2] == lines[1::2] and len(lines) // 2 == 4


def test_the_page_offers_to_send_nothing(page):
    titles = page("""return [...document.querySelectorAll('.modebar-btn')].map(
        button => button.dataset.title || button.getAttribute('aria-label'))""")
    assert titles and not [title for title in titles if "hare" in title or "loud" in title]


def test_the_slider_moves_the_crosshair_and_the_point(page):
    cursor = """slide({row}); const hair = document.querySelector('.hair').getBoundingClientRect();
        const mark = loop.querySelector('.shapelayer path:last-of-type').getBoundingClientRect();
        return [hair.x, mark.x + mark.width / 2, mark.y, ...values()]"""
    places = [page(cursor.replace("{row}", str(row))) for row in (50, 500, 900)]
    for one in range(3):
        assert len({place[one] for place in places}) == 3
    words = page("slide(500); return text('#readout')")
    assert "step 500" in words and "phase B" in words


def test_the_point_stands_on_its_curve(page):
    """What the cursor marks is the row that the slider names."""
    off = page("""
        slide(700);
        const point = loop.layout.shapes.at(-1);
        const path = loop.data.find(each => each.walk && each.run === 0);
        return [point.xanchor - path.across[700], point.yanchor - path.values[700]];""")
    assert off == [0, 0]


def test_the_crosshair_tells_the_values_of_every_run_at_one_time(page, browser):
    page("click('#runs input', 1)")
    told = page("""
        const box = stack.getBoundingClientRect(), axis = stack._fullLayout.xaxis;
        hover(stack, box.x + axis._offset + axis.d2p(1000.5), box.y + 60);
        const walks = [0, 1].map(run => stack.data.find(each => each.walk && each.run === run
            && each.yaxis === 'y4'));
        return [values()[2], ...walks.map(each => each.values[1000])]""")
    shown, *norms = told
    for norm in norms:
        assert f"{norm:.3g}" in shown
    assert page("return text('.when')") in ("step 1,000", "step 1,001")


def test_play_walks_by_itself_and_stops_with_its_run(page, browser):
    page("slide(0); click('#play', 0)")
    WebDriverWait(browser, 20).until(lambda _: page("return row() > 5"))
    assert page("return document.getElementById('play').getAttribute('aria-label')") == "Pause"
    page("follow(1)")
    assert page("return document.getElementById('play').getAttribute('aria-label')") == "Play"
    assert page("return row()") == page("return row()")


def test_keys_walk_jump_and_enlarge(page):
    page("slide(100); press('ArrowRight')")
    assert page("return row()") > 100
    page("press('PageDown')")
    start = page("return stack.data.find(each => each.name === 'jumps').x[0]")
    assert page("return row()") == start
    whole = page("return stack._fullLayout.xaxis.range")
    page("press('+')")
    closer = page("return stack._fullLayout.xaxis.range")
    assert closer[1] - closer[0] < 0.6 * (whole[1] - whole[0])
    page("press('Escape')")
    assert page("return stack._fullLayout.xaxis.range") == whole


def test_one_click_shows_only_this_run(page):
    page("follow(1)")
    assert page("return [runs(stack), runs(loop)]") == [[1], [1]]
    page("click('#runs input', 0)")
    assert page("return runs(stack)") == [0, 1]
    page("click('#table button.only', 0)")
    assert page("return runs(stack)") == [0]
    page("click('#runs .all', 0)")
    assert page("return runs(stack)") == [0, 1]


def test_zoom_in_time_is_one_zoom(page, browser):
    whole = page("return stack._fullLayout.xaxis.range")
    plot = browser.find_element(By.CSS_SELECTOR, "#stack .xy3 .nsewdrag")
    drag = ActionChains(browser).move_to_element(plot).click_and_hold()
    drag.move_by_offset(150, 0).release().perform()
    reach = "const [a, b] = stack._fullLayout.xaxis.range; return b - a"
    WebDriverWait(browser, 20).until(lambda _: page(reach) < 1_500)
    assert page("return document.getElementById('unzoom').hidden") is False
    page("click('#unzoom', 0)")
    assert page("return stack._fullLayout.xaxis.range") == whole


def test_hovering_the_phase_diagram_tells_the_value(page):
    told = page("""Plotly.Fx.hover(loop, [{curveNumber: 0, pointNumber: 100}]);
        return loop.querySelector('.hoverlayer').textContent""")
    assert "η = 0.3" in told and "effective gradient" in told


def test_the_reader_chooses_the_time_axis(page):
    last = "return Math.max(...stack.data.filter(each => each.walk).map(each => each.x.at(-1)))"
    for button, end in ((1, 300.0), (2, 3_000 * 0.0015), (0, 3_000)):
        page(f"click('#axis button', {button})")
        assert page(last) == pytest.approx(end, rel=1e-2)
    assert page("return stack.layout.xaxis.title.text") == "step"


def test_choosing_another_run_shows_its_period(page):
    assert "600 steps" in page("return text('#period-text')")
    page("follow(1)")
    assert "400 steps" in page("return text('#period-text')")


def test_controls_have_names_and_one_can_skip_to_the_numbers(page):
    nameless = page("""return [...document.querySelectorAll('button, input, select')].filter(each =>
        each.offsetParent && !(each.textContent.trim() || each.getAttribute('aria-label')
            || each.closest('label'))).length""")
    assert nameless == 0
    assert page("return text('a.skip')") and page("return document.querySelector('a.skip').hash")
    assert page("slide(500); return document.getElementById('slider').ariaValueText") != ""


FAINT = """
const parts = colour => colour.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(each => each / 255).map(
  each => each <= .04045 ? each / 12.92 : ((each + .055) / 1.055) ** 2.4).reduce(
  (sum, each, at) => sum + each * [.2126, .7152, .0722][at], 0);
const ground = each => {
  for (let at = each; at; at = at.parentElement) {
    const found = parts(getComputedStyle(at).backgroundColor);
    if (found.length === 3 || found[3] === 1) return found;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll('body *:not(svg *)')].filter(each => each.checkVisibility()
  && !each.closest('.js-plotly-plot, :disabled')
  && [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim())).map(each => {
  const both = [light(parts(getComputedStyle(each).color)), light(ground(each))].sort();
  return [each.tagName + ' ' + each.className + ' ' + each.textContent.slice(0, 30),
    (Math.max(...both) + .05) / (Math.min(...both) + .05)];
}).filter(([, contrast]) => contrast < 4.5);
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_told_from_its_ground(page, browser, theme):
    """At least 4.5 to 1, as the Web Content Accessibility Guidelines ask (AA)."""
    feature = {"name": "prefers-color-scheme", "value": theme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        assert page(FAINT) == []
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_paper_is_white_and_nothing_is_cut_off(page):
    page("dispatchEvent(new Event('beforeprint'))")
    widest = (
        "return Math.max(...[...document.querySelectorAll('.main-svg')].map(e => e.clientWidth))"
    )
    assert page(widest) <= 690
    page("dispatchEvent(new Event('afterprint'))")
    assert page(widest) > 690


def test_the_range_is_that_of_the_runs_shown(opened, browser, sawtooth):
    """A hidden run that is ten times as long says nothing about the axis."""
    run = opened(sawtooth("short"), sawtooth("long", rows=30_000, lr=0.1))
    end = "return stack._fullLayout.xaxis.range[1]"
    assert run("follow(0); " + end) < 3_100
    assert run("follow(1); " + end) > 29_000
    assert browser.get_log("browser") == []


def test_spikes_that_are_no_jumps_have_a_faint_line_and_a_reason(opened, browser, sawtooth):
    run = sawtooth(rows=6_000, period=1_500)
    steps = run.steps.copy()
    steps.loc[2_300:2_303, "loss"] = [2.0, 1.0, 0.5, 0.2]
    show = opened(dataclasses.replace(run, steps=steps))
    other = show("return stack.data.find(each => each.name === 'other rises').x.slice(0, 2)")
    assert other == [2_298, 2_298]
    told = show("""const box = stack.getBoundingClientRect(), axis = stack._fullLayout.xaxis;
        hover(stack, box.x + axis._offset + axis.d2p(2298), box.y + 60); return text('.reason')""")
    assert "no jump: the norm was not thrown back" in told and "Cause: batch" in told
    assert "no jump" in show("return text('#about')")
    assert browser.get_log("browser") == []


def test_a_watched_run_shows_its_groups(opened, browser, sawtooth, grouped):
    run = grouped(sawtooth("watched", run=False))
    show = opened(run)
    assert show("return document.getElementById('depth').hidden") is False
    labels = "return [...document.querySelectorAll('#measure option')].map(each => each.value)"
    assert show(labels) == ["effective_lr", "rotation", "norm"]
    rows = "return document.getElementById('depth-plot').data[0].z.length"
    assert show(rows) == 3
    first = show("return document.getElementById('depth-plot').data[0].z[0][0]")
    show("set('measure', 'rotation', 'change')")
    assert show("return document.getElementById('depth-plot').data[0].z[0][0]") != first
    assert browser.get_log("browser") == []


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
        run(f"follow({at}); slide(2900); click('#axis button', 1); press('+'); press('Escape')")
    assert run("return window.stolen || null") is None
    assert run("return document.querySelector('.chip button').textContent") == EVIL
    assert run("return document.querySelectorAll('img').length") == 0
    assert browser.get_log("browser") == []


def test_what_was_not_measured_takes_no_room(opened, browser, sawtooth):
    run = opened(sawtooth("a", measured=False))
    assert run("return document.querySelectorAll('.over').length") == 3
    assert "error" not in run("return text('#table thead')")
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
    height = "return document.body.scrollHeight"
    before = browser.execute_script(height)
    ActionChains(browser).move_to_element_with_offset(plots[2], 40, 40).perform()
    assert browser.execute_script(height) == before, "the page does not move"
    assert EVIL in said and browser.execute_script("return window.stolen") is None
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
