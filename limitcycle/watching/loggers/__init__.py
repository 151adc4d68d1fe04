"""Sinks for the loggers that people have: TensorBoard, Weights & Biases, MLflow.

`curves` says what they keep of the rows and under which names; the other modules how each is spoken
to. A logger's package is imported when its sink is made. What the user opened stays open; what a
sink opened, at the first step, it closes.
"""

from limitcycle.watching.loggers.mlflow import MLflow
from limitcycle.watching.loggers.tensorboard import TensorBoard
from limitcycle.watching.loggers.wandb import WandB

__all__ = ["MLflow", "TensorBoard", "WandB"]
