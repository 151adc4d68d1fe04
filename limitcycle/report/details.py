"""The texts of the page about one run: its line of the table, its settings, how to get it again."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from limitcycle.reading.history import History
from limitcycle.report.panels import style_of
from limitcycle.report.reproduce import command
from limitcycle.report.summary import Summary, summary_of

DASH_ARRAYS = {"solid": "none", "dash": "7 3", "dot": "2 3", "dashdot": "7 3 2 3"}


def summary_table(drawn: Sequence[History]) -> str:
    """All runs in numbers, as an HTML table; columns that nobody has a number for are left out."""
    summaries = [summary_of(history) for history in drawn]
    numbers = [column for column in _NUMBERS if any(column.value(each) for each in summaries)]
    heads = "".join(f'<th scope="col" class="number">{column.head}</th>' for column in numbers)
    rows = "\n".join(_row(at, each, numbers) for at, each in enumerate(summaries))
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="Table, may be scrolled"><table>'
        f'<thead><tr><th scope="col">run</th><th scope="col">verdict</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


class _Column(NamedTuple):
    """A column of numbers: its head as HTML, and a run's number as text; empty: none."""

    head: str
    value: Callable[[Summary], str]


def _span(summary: Summary) -> str:
    low, high = summary.effective_lr
    return "" if math.isnan(low) else f"{_number(low)} … {_number(high)}"


_NUMBERS = (
    _Column("jumps", lambda run: f"{run.destabilisations:,}"),
    _Column("median period,<br>steps", lambda run: _number(run.period, ",.0f")),
    _Column("learning<br>rate", lambda run: _number(run.lr)),
    _Column("effective learning rate<br><small>after warm-up</small>", _span),
    _Column("final test<br>error", lambda run: _number(100 * run.final_error, ".2f", " %")),
)


def _row(index: int, summary: Summary, columns: Sequence[_Column]) -> str:
    """The run's line of the table; its button shows that run alone."""
    name = "" if summary.label == summary.name else f"<small>{escape(summary.name)}</small>"
    button = (
        f'<button type="button" class="only" data-run="{index}" title="show only this run">'
        f"{_swatch(index)}{escape(summary.label)}</button>"
    )
    cells = "".join(_cell(column, summary) for column in columns)
    return (
        f'<tr data-run="{index}"><th scope="row" class="run">{button}{name}</th>'
        f'<td class="verdict">{escape(summary.verdict)}</td>{cells}</tr>'
    )


def _number(value: float, form: str = ".3g", unit: str = "") -> str:
    return "" if math.isnan(value) else f"{value:{form}}{unit}"


def _cell(column: _Column, summary: Summary) -> str:
    """A number, and for a screen too narrow for a head its name."""
    name = column.head.replace("<br>", " ").replace("<small>", "").replace("</small>", "")
    return f'<td class="number" data-head="{name}">{column.value(summary) or "–"}</td>'


def _swatch(index: int) -> str:
    colour, dash = style_of(index)
    return (
        f'<svg class="swatch" viewBox="0 0 26 10" aria-hidden="true">'
        f'<line x1="0" y1="5" x2="26" y2="5" stroke="{colour}" stroke-width="4" '
        f'stroke-dasharray="{DASH_ARRAYS[dash]}"/></svg>'
    )


def details(history: History) -> str:
    """What was found and why, the settings, and how to get the run again, as folded HTML."""
    source = history.source
    status = {name: source.status[name] for name in ("state", "reason") if source.status.get(name)}
    settings = {} if source.run is None else dataclasses.asdict(source.run)
    return "\n".join(
        [
            f"<details><summary><b>{escape(history.label)}</b>: "
            f"{escape(history.diagnosis.headline)}</summary>",
            f"<p>{escape(str(history.diagnosis))}</p>",
            _reproduce(history),
            "<h3>Settings</h3>" + _list(settings) if settings else "",
            "<h3>Circumstances</h3>"
            + _list({"folder": source.name, **status, **_flat(source.info)}),
            "</details>",
        ]
    )


def _reproduce(history: History) -> str:
    if history.source.run is None:
        return "<p>How this table was made is not recorded in it.</p>"
    text = command(history.source.run, history.source.name)
    return f"<h3>How to reproduce</h3><pre>{escape(text)}</pre>"


def _list(content: Mapping[str, Any]) -> str:
    entries = "".join(
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(_value(value))}</dd></div>"
        for name, value in content.items()
    )
    return f"<dl>{entries}</dl>"


def _value(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _flat(info: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested information with joined names; the run's description is shown apart."""
    flat: dict[str, Any] = {}
    for name, value in info.items():
        if isinstance(value, Mapping) and (above or name != "run"):
            flat |= _flat(value, f"{above}{name} ")
        elif (above or name != "run") and value not in ([], "", None):
            flat[above + str(name)] = value
    return flat
