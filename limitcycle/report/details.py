"""The texts of the page about one run: its line of the table, its settings, how to get it again."""

import dataclasses
import math
from collections.abc import Mapping
from html import escape
from typing import Any

from limitcycle.reading.history import History
from limitcycle.report.figure import DASHES, RUN_COLOURS
from limitcycle.report.reproduce import command
from limitcycle.report.summary import Summary, summary_of

DASH_ARRAYS = {"solid": "none", "dash": "7 3", "dot": "2 3", "dashdot": "7 3 2 3"}


def summary_row(index: int, history: History) -> str:
    """The run's line of the table, as HTML."""
    summary = summary_of(history)
    numbers = "".join(f'<td class="number">{cell}</td>' for cell in _cells(summary))
    name = "" if summary.label == summary.name else f"<small>{escape(summary.name)}</small>"
    run = f'<td class="run">{_swatch(index)}{escape(summary.label)}{name}</td>'
    return f"<tr>{run}{numbers}<td>{escape(summary.verdict)}</td></tr>"


def _cells(summary: Summary) -> list[str]:
    low, high = summary.effective_lr
    return [
        _number(summary.lr),
        str(summary.destabilisations),
        "–" if math.isnan(summary.period) else f"{summary.period:,.0f}",
        "–" if math.isnan(low) else f"{_number(low)} … {_number(high)}",
        "–" if math.isnan(summary.final_error) else f"{100 * summary.final_error:.2f} %",
    ]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"


def _swatch(index: int) -> str:
    colour, dash = RUN_COLOURS[index % len(RUN_COLOURS)], DASHES[index % len(DASHES)]
    return (
        f'<svg class="swatch" id="swatch-{index}" viewBox="0 0 26 10" aria-hidden="true">'
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
