"""The compiler of steps: ``python -m limitcycle.lab.compiler``, told on its input what to make.

A process of its own, because torch's compiler takes seconds to import, keeps worker processes and
temporary files, and warns of itself; and because it can be ended while it works. The engine's step
is traced as it computes, derivative and all, so nothing has to be written in another way.
"""

import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

from limitcycle.lab.block import Step
from limitcycle.lab.compiled import Example, examples
from limitcycle.lab.engine import step
from limitcycle.lab.setup import prepare
from limitcycle.record import Run
from limitcycle.record.files import write_json


def main() -> int:
    """Compile what the task on the input names; exit code, and then a last line of why."""
    task = json.load(sys.stdin)
    try:
        _make(task)
    except Exception as problem:
        line = next((text for text in str(problem).splitlines() if text.strip()), "")
        print(f"{type(problem).__name__}: {line}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _make(task: Mapping[str, Any]) -> None:
    torch.set_num_threads(task["threads"])
    run, folder = Run.from_dict(task["run"]), Path(task["folder"])
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "torch")
    setup = prepare(run, torch.device("cpu"))
    for example, name in zip(examples(run, setup), task["names"], strict=True):
        graph, said = traced(partial(step, setup.net), example)
        made = _machine_code(graph, example, Path(task["aside"]) / f"{name}.so")
        made.replace(folder / f"{name}.so")
        write_json(folder / f"{name}.json", said)


def traced(one: Step, example: Example) -> tuple[GraphModule, dict[str, list[str]]]:
    """The operations of a step on ``example``, of tensors in a row to tensors in a row.

    Returns:
        The graph, and what it returns: the parts of the state that move, then the row's columns.

    Raises:
        ValueError: it computes with a tensor that is none of its arguments.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    state, hyper = list(example.state), list(example.hyper)
    # Frozen weights never move; a net without running statistics has none that could.
    moving = [name for name, part in example.state.items() if name != "frozen" and part.numel()]
    row: list[str] = []

    def flat(*tensors: Tensor) -> list[Tensor]:
        batch = tensors[len(state)], tensors[len(state) + 1]
        following, measured = one(
            dict(zip(state, tensors, strict=False)),
            batch,
            dict(zip(hyper, tensors[len(state) + 2 :], strict=True)),
        )
        row[:] = measured
        return [*(following[name] for name in moving), *measured.values()]

    # New objects: what a net has hung up already (`FlatPart.install`) is no argument any more.
    graph = make_fx(flat)(*(tensor.view_as(tensor) for tensor in example.flat()))
    if constants := [node for node in graph.graph.nodes if node.op == "get_attr"]:
        raise ValueError(f"the step computes with {len(constants)} tensors of its own")
    return graph, {"moving": moving, "row": row}


def _machine_code(graph: GraphModule, example: Example, path: Path) -> Path:
    import torch._inductor as inductor

    exported = torch.export.export(graph, tuple(example.flat()))
    options = {"aot_inductor.output_path": str(path), "compile_threads": 1}
    inductor.aot_compile(exported.module(), tuple(example.flat()), options=options)
    return path


if __name__ == "__main__":
    sys.exit(main())
