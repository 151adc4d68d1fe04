"""Every Python snippet of README and docs runs as it stands, on an ordinary model and optimizer."""

import ast
import os
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

import limitcycle as lc
from limitcycle.control import Handle

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SNIPPETS = [
    pytest.param(
        text,
        id=f"{page.stem}-{number}",
        # These loggers start a server or migrate a data base, trainers take seconds to import.
        marks=[pytest.mark.slow] if re.search("wandb|mlflow|Trainer", text) else [],
    )
    for page in PAGES
    for number, text in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]
SHORTER = {"20_000": "20", "3_000": "3"}  # steps


class Trainer:
    """Takes what a trainer takes; what callbacks do is tried in tests/integrations."""

    def __init__(self, *_, callbacks):
        assert callbacks


def surroundings():
    """What a reader has: a model, batches, an ordinary optimizer that has made a step."""
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    inputs, labels = torch.randn(16, 6), torch.randint(3, (16,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    loss = functional.cross_entropy(model(inputs), labels)
    loss.backward()
    optimizer.step()

    def your_loop():
        functional.cross_entropy(model(inputs), labels).backward()

    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    return {
        "muon": torch.optim.Muon(matrices, lr=0.02),
        "adamw": torch.optim.AdamW(vectors, lr=0.1),
        "your_loop": your_loop,
        "lc": lc,
        "model": model,
        "optimizer": optimizer,
        "batch": inputs,
        "batches": [inputs, inputs],
        "loss": loss.detach(),
        "F": functional,
        "Trainer": Trainer,
        "checkpoint": None,
    }


def for_snippet(text):
    """The surroundings that a snippet speaks of."""
    found = surroundings()
    if "= batch(step)" in text:
        images = found["batch"]
        found["batch"] = lambda step: (images, torch.zeros(16, dtype=torch.long))
    for name, where in (
        ("SummaryWriter", "torch.utils.tensorboard"),
        ("wandb", None),
        ("mlflow", None),
    ):
        if name in text:
            module = pytest.importorskip(where or name)
            found[name] = getattr(module, name) if where else module
    if "TensorBoard" in text:
        from limitcycle.watching import TensorBoard

        found["TensorBoard"] = TensorBoard
    return found


@pytest.mark.filterwarnings("ignore")  # of loggers
@pytest.mark.parametrize("text", SNIPPETS)
def test_a_snippet_runs(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for long, short in SHORTER.items():
        text = text.replace(long, short)
    text = re.sub(r"^( +)\.\.\.", r"\1your_loop()", text, flags=re.MULTILINE)
    names = for_snippet(text)
    for statement in ast.parse(text).body:
        run_statement(statement, names)


def run_statement(statement, names):
    """Run it; a control that nobody keeps is one of several, and taken away again."""
    if not isinstance(statement, ast.Expr):
        exec(compile(ast.Module([statement], []), "<snippet>", "exec"), names)
        return
    value = eval(compile(ast.Expression(statement.value), "<snippet>", "eval"), names)
    if isinstance(value, Handle):
        names["loss"].detach()
        names["optimizer"].step()
        value.remove()


def test_there_are_snippets():
    assert len(SNIPPETS) >= 16
    assert os.environ.get("LIMITCYCLE_CACHE"), "nothing lands in the user's cache"
