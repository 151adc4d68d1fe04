"""A short training that hands rows on several times, and what a logger should have of it."""

import numpy as np
import torch

import limitcycle as lc
from limitcycle.watching.loggers.curves import GROUP_CURVES, curve
from tests.watching import loops

HAND_OVER = 6


def train(sink, steps=20, *, first=0, state=None, job=None, meanwhile=lambda step: None):
    """Steps ``first`` … ``steps`` − 1 under watch, each followed by what a user does; the watch."""
    model, optimizer = job or new_job()
    w = lc.watch(model, optimizer, sink=sink, quiet=True)
    if state is not None:
        w.load_state_dict(state)
    with w:
        for step in range(first, steps):
            w.log(loss=loops.plain_step(model, optimizer, step))
            if step % HAND_OVER == HAND_OVER - 1:
                _ = w.steps
            meanwhile(step)
    return w


def new_job():
    model = loops.net()
    return model, torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01, momentum=0.9)


def handed_over(steps):
    """The last step of each block of rows."""
    return [*range(HAND_OVER - 1, steps, HAND_OVER), *([steps - 1] if steps % HAND_OVER else [])]


def expected(w, every=1):
    """Curve → {step: value} of a whole watch."""
    steps = w.steps[w.steps["step"] % every == 0].set_index("step")
    found = {curve(name): dict(steps[name]) for name in steps if np.isfinite(steps[name]).any()}
    groups = w.groups[w.groups["step"].isin(handed_over(len(w.steps)))].set_index("step")
    for group, rows in groups.groupby("group"):
        found |= {curve(c, group): dict(rows[c]) for c in GROUP_CURVES if rows[c].notna().any()}
    return found


def assert_same(found, wanted, rtol):
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert list(found[name]) == list(values), name
        np.testing.assert_allclose(
            list(found[name].values()), list(values.values()), rtol=rtol, err_msg=name
        )
