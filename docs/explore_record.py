"""The real network of docs/explore/oscillator.html: trains it and puts its record into the page.

Run as ``.venv/bin/python docs/explore_record.py``; it takes about a minute.
"""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import limitcycle as lc

PAGE = Path(__file__).parent / "explore" / "oscillator.html"
STRETCH = 8  # rows of which the first and the one with the largest turn are kept
COLUMNS = {
    "norm": "norm",
    "rate": "effective_lr",
    "gradient": "effective_grad_norm",
    "distance": "cosine_distance",
}
COMMON: dict[str, Any] = {"net": "mlp", "data": "digits", "lr": 0.3, "width": 32, "steps": 4_000}
RUNS = {
    "jumps": lc.Run(**COMMON, weight_decay=0.005),
    "stops": lc.Run(**COMMON, weight_decay=0.0),
    "held": lc.Run(**COMMON, weight_decay=0.005, fixed_norm="start"),
}


def main() -> None:
    """Train, thin, write."""
    with TemporaryDirectory() as folder:
        content = {name: recorded(lc.train(run, Path(folder) / name)) for name, run in RUNS.items()}
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    page = PAGE.read_text(encoding="utf-8")
    element = r'(<script id="recorded" type="application/json">).*?(</script>)'
    filled = re.sub(element, lambda match: match[1] + text + match[2], page, flags=re.DOTALL)
    PAGE.write_text(filled, encoding="utf-8")


def recorded(run: lc.LoadedRun) -> dict[str, Any]:
    """What the page draws of a run, and says of it."""
    table, found, made = run.steps, lc.diagnose(run), run.description
    rows = kept(table["cosine_distance"].to_numpy())
    series = {name: rounded(table[column].to_numpy()[rows]) for name, column in COLUMNS.items()}
    held = made.fixed_norm is not None
    how = "its norm held" if held else f"weight decay {made.weight_decay:g}"
    return {
        "eta": made.lr,
        "lam": made.weight_decay,
        "hold": held,
        "said": f"A network of {made.width} units a layer on handwritten digits, learning rate "
        f"{made.lr:g}, {how}. limitcycle says: {str(found).splitlines()[0]}",
        "jumps": [int(step) for step in found.events["start"]],
        "step": table["step"].to_numpy()[rows].tolist(),
        **series,
    }


def kept(turns: np.ndarray) -> np.ndarray:
    """Rows to draw."""
    stretches = [
        np.arange(at, min(at + STRETCH, len(turns))) for at in range(0, len(turns), STRETCH)
    ]
    largest = [rows[np.argmax(turns[rows])] for rows in stretches]
    return np.unique([*largest, *(rows[0] for rows in stretches)])


def rounded(values: np.ndarray) -> list[float]:
    """Four digits are more than a screen shows."""
    return [float(f"{value:.4g}") for value in values]


if __name__ == "__main__":
    main()
