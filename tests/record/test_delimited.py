"""The same table in the habits of many countries and programs is the same table."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limitcycle.record.delimited import read_delimited

TABLE = pd.DataFrame(
    {
        "step": np.arange(0, 90_000, 450),
        "loss": np.geomspace(3.4378, 1.25e-4, 200),
        "norm": np.linspace(7.98, 1_234.5678, 200),
    }
)


def written(number, decimal, thousands):
    text = f"{number:,}" if thousands else f"{number}"
    return text.translate({ord(","): thousands or "", ord("."): decimal})


def text(separator=",", decimal=".", thousands="", pad="", quote=""):
    rows = [list(TABLE.columns)]
    for row in TABLE.itertuples(index=False):
        rows.append([written(cell, decimal, thousands) for cell in row])
    return "\n".join(separator.join(f"{pad}{quote}{c}{quote}{pad}" for c in row) for row in rows)


@pytest.mark.parametrize(
    "style",
    [
        {},
        {"separator": ";"},
        {"separator": "\t"},
        {"separator": "|", "pad": " "},
        {"separator": ", ", "pad": ""},
        {"separator": ",", "pad": "  "},
        {"separator": "   "},
        {"separator": ";", "decimal": ","},
        {"separator": "\t", "decimal": ","},
        {"separator": ",", "decimal": ",", "quote": '"'},
        {"separator": ";", "decimal": ",", "thousands": "."},
        {"separator": ";", "decimal": ",", "thousands": "\u00a0"},
        {"separator": ";", "decimal": ",", "thousands": "\u202f"},
        {"separator": ";", "decimal": ",", "thousands": " "},
        {"separator": ";", "thousands": "'"},
        {"separator": ";", "thousands": ","},
        {"separator": ",", "thousands": ",", "quote": '"'},
    ],
    ids=str,
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_habits_of_writing_do_not_matter(tmp_path, style, encoding):
    if encoding == "cp1252" and style.get("thousands") == "\u202f":
        encoding = "utf-8"  # that one lacks the narrow space
    path = tmp_path / "t.csv"
    path.write_bytes(text(**style).encode(encoding))
    pd.testing.assert_frame_equal(read_delimited(path), TABLE, check_dtype=False, rtol=1e-12)
    assert list(read_delimited(path, rows=0).columns) == list(TABLE.columns)


@settings(max_examples=40, deadline=None)
@given(
    losses=st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=3, max_size=20),
    separator=st.sampled_from([";", "\t"]),
)
def test_decimal_commas_hold_any_number(tmp_path_factory, losses, separator):
    path = tmp_path_factory.mktemp("any") / "t.csv"
    lines = ["step" + separator + "loss", f"0{separator}0,5"]  # one that can only be a decimal
    lines += [f"{k}{separator}{repr(x).replace('.', ',')}" for k, x in enumerate(losses, 1)]
    path.write_text("\n".join(lines))
    np.testing.assert_array_equal(read_delimited(path)["loss"], [0.5, *losses])


def test_three_decimals_are_no_thousands_where_steps_are_not_grouped(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("step;loss\n1000;2,345\n2000;1,234\n")
    assert read_delimited(path)["loss"].tolist() == [2.345, 1.234]
    path.write_text("step;loss\n1,000;2.345\n2,000;1.234\n")
    assert read_delimited(path)["step"].tolist() == [1000, 2000]


def test_a_packed_table_and_the_line_of_a_spreadsheet(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(("sep=;\n" + text(";", ",")).encode()))
    pd.testing.assert_frame_equal(read_delimited(path), TABLE, check_dtype=False, rtol=1e-12)


def test_gaps_and_words_stay_what_they_are(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("step;loss;note\n1;0,5;first, with comma\n2;;\n3;nan;1,5\n")
    table = read_delimited(path)
    assert table["loss"].isna().tolist() == [False, True, True]
    assert table["note"].tolist()[0] == "first, with comma"
    cells = read_delimited(path, as_text=True)["loss"]
    assert cells.tolist()[0] == "0.5" and cells.isna().tolist() == [False, True, False]
