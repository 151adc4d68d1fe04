"""A loop of your own under watch: ``python examples/plain.py [folder] [steps]``."""

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn

import limitcycle as lc

folder = sys.argv[1] if len(sys.argv) > 1 else "runs/plain"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 4000

torch.manual_seed(0)
x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
x = x.float() / 16
model = nn.Sequential(
    nn.Linear(64, 64, bias=False),
    nn.BatchNorm1d(64),
    nn.ReLU(),
    nn.Linear(64, 64, bias=False),
    nn.BatchNorm1d(64),
    nn.ReLU(),
    nn.Linear(64, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=1.0, weight_decay=0.003)

with lc.watch(model, optimizer, sink=folder) as w:  # ← limitcycle, line 1
    for _ in range(steps):
        batch = torch.randint(len(x), (128,))
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        w.log(loss=loss)  # ← limitcycle, line 2
