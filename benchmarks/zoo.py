"""Are the symmetries found those known by hand? A line a model: groups, residual, time.

The models and their groups are those of the tests (`tests/symmetry/zoo.py`, `zoo_more.py`). "(not)"
marks models in which something looks invariant and is not.

    python benchmarks/zoo.py             # all models, as a Markdown table, about a minute
    python benchmarks/zoo.py BERT mlp    # some of them
    python benchmarks/zoo.py --large     # ResNet-18, BERT-base and GPT-2 small at full width
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from limitcycle.symmetry import Symmetries, symmetries
from tests.symmetry.test_cost import LARGE
from tests.symmetry.zoo import Case
from tests.symmetry.zoo_more import EVERY


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="names (default: all)")
    parser.add_argument("--large", action="store_true", help="the large models instead")
    options = parser.parse_args()
    if options.large:
        large({name: LARGE[name] for name in options.models or LARGE})
    else:
        small({name: EVERY[name] for name in options.models or EVERY})


def small(cases: dict[str, Case]) -> None:
    """Found against known, exponents included."""
    torch.set_num_threads(1)
    print("| model | tensors | known | found | agree | largest residual | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    agreed = 0
    for name, case in cases.items():
        torch.manual_seed(0)
        model, batch = case.make(), case.batch()
        answer, seconds = timed(model, batch)
        agree = agrees(answer, case)
        agreed += agree
        worst = max((group.residual for group in answer.groups), default=0.0)
        tensors = sum(p.requires_grad for p in model.parameters())
        print(
            f"| {name} | {tensors} | {len(case.groups)} | {len(answer.groups)} "
            f"| {'yes' if agree else 'NO'} | {worst:.0e} | {seconds:.2f} |",
            flush=True,
        )
    print(f"\n{agreed} of {len(cases)} models agree")


def agrees(answer: Symmetries, case: Case) -> bool:
    """Whether groups, kinds and the exponents given by hand are those found."""
    found = {frozenset(group.names): group.kind for group in answer.groups}
    known = {frozenset(exponents): kind for kind, exponents in case.groups}
    return found == known and all(answer.is_symmetry(exponents) for _, exponents in case.groups)


def large(makers: dict[str, Callable[[], tuple[nn.Module, Any]]]) -> None:
    """Time and memory. The memory is the process' largest so far: one model a call is exact."""
    print("| model | parameters | tensors | groups | seconds | CPU seconds | largest memory, GB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, make in makers.items():
        torch.manual_seed(0)
        model, batch = make()
        cpu = time.process_time()
        answer, seconds = timed(model, batch)
        cpu = time.process_time() - cpu
        size = sum(p.numel() for p in model.parameters()) / 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"| {name} | {size:.0f}M | {len(answer.parameters)} | {len(answer.groups)} "
            f"| {seconds:.0f} | {cpu:.0f} | {peak:.1f} |",
            flush=True,
        )


def timed(model: nn.Module, batch: Any) -> tuple[Symmetries, float]:
    """The answer and the wall-clock seconds that it took."""
    start = time.perf_counter()
    answer = symmetries(model, batch)
    return answer, time.perf_counter() - start


if __name__ == "__main__":
    main()
