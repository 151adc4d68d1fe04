"""Lightning's trainer under watch: ``python examples/lightning_example.py [folder] [steps]``."""

import sys

import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import limitcycle as lc  # ← limitcycle, line 1

folder = sys.argv[1] if len(sys.argv) > 1 else "runs/lightning"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 1500


class Digits(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(64, 64, bias=False),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Linear(64, 64, bias=False),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )

    def training_step(self, batch, _):
        x, y = batch
        return nn.functional.cross_entropy(self.net(x), y)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0, weight_decay=0.003)


lightning.seed_everything(0)
x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
trainer = lightning.Trainer(
    accelerator="cpu",
    max_steps=steps,
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    callbacks=[lc.LightningWatch(folder)],  # ← limitcycle, line 2
)
trainer.fit(Digits(), DataLoader(TensorDataset(x.float() / 16, y), batch_size=128, shuffle=True))
