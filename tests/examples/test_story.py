"""The worked story runs, and docs/story.md says what its record says, in the product's words."""

import contextlib
import io
import sys
from pathlib import Path

import pandas as pd
import pytest

from limitcycle.reading import diagnose, words

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "story.md"
STEPS = 33


@pytest.fixture(scope="module")
def story():
    """The example's module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "examples"))
        import story

        yield story
    for name in ("story", "story_told", "story_pictures"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def made(story, once):
    """The folder in which the example's command was run, the page that it filled, what it said."""

    def make(folder):
        page = folder / "told.md"
        page.write_text("before\n<!-- symptom -->\n<!-- end -->\nafter\n", encoding="utf-8")
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
            patch.setattr(story, "LOOK_EVERY", 15)
            story.main(["--out", str(folder / "told"), "--steps", str(STEPS)])
        (folder / "said").write_text(said.getvalue(), encoding="utf-8")

    folder = once("story", make)
    page, said = (folder / name for name in ("told.md", "said"))
    return folder, page.read_text(encoding="utf-8"), said.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_story_is_made_by_one_command(story, made):
    folder, page, said = made
    told = story.Told.read(folder / "told")
    assert {way: len(record) for way, record in told.records.items()} == dict.fromkeys(
        told.records, STEPS - told.moment
    ) | {"as-it-was": STEPS}
    for picture in ("before.png", "after.png"):
        assert (folder / "told" / picture).stat().st_size > 10_000
    blocks = told.blocks()
    assert page == f"before\n<!-- symptom -->\n{blocks['symptom']}\n<!-- end -->\nafter\n"
    assert blocks["diagnosis"] in said


@pytest.mark.slow
def test_ways_differ_in_what_was_changed_and_only_from_the_moment_on(story, made):
    told = story.Told.read(made[0] / "told")
    base = told.records["as-it-was"].set_index("step")
    for way, record in told.records.items():
        first = record.set_index("step").loc[told.moment]
        assert first["loss"] == pytest.approx(base["loss"][told.moment], rel=1e-4), way
    held = told.records["held"]["norm"]
    assert held.max() == pytest.approx(held.min(), rel=1e-5)
    halved = told.records["halved"]["weight_decay"]
    assert set(halved) == {story.TYPED / 2}


def test_the_page_holds_what_the_record_tells(story):
    told = story.Told.read(PAGE.with_suffix(""))
    page = PAGE.read_text(encoding="utf-8")
    assert story.filled(page, told.blocks()) == page
    for name in told.blocks():
        assert f"<!-- {name} -->" in page
    assert f"{story.TYPED:.0e}".replace("e-0", "e-") in page
    assert f"{story.STEPS:,}" in page


def test_the_quoted_words_are_those_of_the_product(story):
    told = story.Told.read(PAGE.with_suffix(""))
    record = told.records["as-it-was"]
    record = record.assign(effective_lr=record["lr"] / record["norm"] ** 2)
    for look in told.looks[:: len(told.looks) // 12]:
        seen = record[record["step"] < look["step"]]
        verdict = diagnose(seen)
        assert verdict.advice.text == look["advice"]
        assert look["said"].startswith(f"{words.headline(verdict)}.\n")


def test_alarms_know_the_loss_alone(story):
    from story_told import alarms

    loss = pd.Series(0.01, index=range(600))
    loss[300:305] = 1.0  # one spike
    loss[350] = 1.0  # of the same
    loss[451] = 0.15
    loss[500] = 0.05  # too low
    assert alarms(pd.DataFrame({"step": loss.index, "loss": loss})) == [300, 451]
