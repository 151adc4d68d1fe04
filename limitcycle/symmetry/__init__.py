"""Which parameters are scale-invariant: decided here and nowhere else.

- `search` asks the question and puts the answer together;
- `probe` gathers Euler products from forward and backward passes (`arithmetic`: in float64, with
  vanishing eps; `untouched`: the model comes back as it was);
- `nullspace` and `integers` turn them into groups and exponents;
- `why` says which module absorbs a scaling; `leak` how much a real eps lets through;
- `continued` goes on from a twin with few blocks to a model with many;
- `answer` is what the user holds; `identity` says of which net it is one, for a cache.
"""

from limitcycle.symmetry.answer import Symmetries
from limitcycle.symmetry.continued import continued
from limitcycle.symmetry.group import Group
from limitcycle.symmetry.identity import fingerprint
from limitcycle.symmetry.leak import LeakGrowth, leak_growth
from limitcycle.symmetry.search import symmetries, symmetries_in_use
from limitcycle.symmetry.untouched import plain_name, trainable, unwrapped

__all__ = [
    "Group",
    "LeakGrowth",
    "Symmetries",
    "continued",
    "fingerprint",
    "leak_growth",
    "plain_name",
    "symmetries",
    "symmetries_in_use",
    "trainable",
    "unwrapped",
]
