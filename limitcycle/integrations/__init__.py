"""Watching in one argument of somebody else's trainer: ``Trainer(callbacks=[…])``.

- `adapter` is what the callbacks share: a watch for as long as a training lasts;
- `lightning` and `transformers` say where each trainer keeps model, optimizer, loss and state.

Neither package is imported before a callback of its kind is made.
"""

from limitcycle.integrations.lightning import LightningWatch
from limitcycle.integrations.transformers import TransformersWatch

__all__ = ["LightningWatch", "TransformersWatch"]
