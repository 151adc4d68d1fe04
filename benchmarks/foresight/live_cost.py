"""What `limitcycle.Watch.forecast` costs: microseconds of computing a look, and a step.

A full-batch run on digits is watched and asked every hundred steps. Reading the rows from the
device is part of it. Beside it: what a whole reading (`Watch.diagnosis`) takes at the end.

    python -m benchmarks.foresight.live_cost  # half a minute
"""

import time

import numpy as np
import torch
from torch.nn import functional

import limitcycle
from benchmarks.foresight.adamw import mlp
from limitcycle.lab.setup import prepare
from limitcycle.record import Run

RUN = Run(lr=1.0, weight_decay=0.006, seed=5, width=32, train_size=256, batch_size="full")
EVERY = 100


def main() -> None:
    """Train, ask, print."""
    torch.set_num_threads(1)
    torch.manual_seed(RUN.seed)
    data = prepare(RUN, torch.device("cpu")).data
    images, labels = data.train_images[:256], data.train_labels[:256]
    model = mlp(images[0].numel(), 32, 3)
    trained = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=RUN.lr, weight_decay=RUN.weight_decay)
    looks, alarms = [], 0
    with limitcycle.watch(model, optimizer, quiet=True) as watch:
        for step in range(1, 8_001):
            loss = functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            watch.log(loss=loss)
            if step % EVERY == 0:
                began = time.process_time()
                alarms += watch.forecast().alarm
                looks.append(1e6 * (time.process_time() - began))
        began = time.process_time()
        found = watch.diagnosis()
        whole = 1e6 * (time.process_time() - began)
    print(f"{found.headline}; {len(looks)} looks, {alarms} with an alarm")
    low, middle, high = np.quantile(looks, [0.1, 0.5, 0.9])
    print(f"a look: {middle:,.0f} µs in the median, 10 to 90 %: {low:,.0f} to {high:,.0f}")
    print(f"a step: {np.mean(looks) / EVERY:,.1f} µs; a whole reading: {whole:,.0f} µs")


if __name__ == "__main__":
    main()
