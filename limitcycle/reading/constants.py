"""Every threshold of the detection, once. All are free of the time scale: none counts steps.

The norm is the clock. A jump may be over in ten rows or take thousands, but it always throws the
norm back, and the norm, unlike the loss of a batch, carries almost no noise. They were chosen on
runs on digits, on a small ConvNet on CIFAR-10 and on a table rebuilt from the paper's Figure 2,
then frozen before the runs on which ``benchmarks/detection.py`` measures precision and recall.
"""

import math

MIN_ROWS = 30
"""Fewer usable rows cannot show one period, let alone two."""

MIN_RISE = 0.05
"""Rise of log ρ that a jump must bring, and fall that must go before it. Kinks of the norm form a
continuum down to nothing; below 5 % they no longer show in a picture of a period."""

RISE_NOISE = 8.0
"""... and in standard deviations of row-to-row noise of log ρ: two extremes of 400,000 Gaussian
values lie 9 apart, those of one period about 6. Recorded norms have no such noise; others' may."""

MIN_CONTRAST = math.log(6.0)
"""How far log loss must stand above its low level while the norm climbs. On digits jumps reach
e⁴ to e⁹, and in a stuck run, where the norm wanders with the loss, seven wanderings in eight
stay below 6. Tables thinned to every hundredth row see only the tail of a jump: no more than 6."""

CONTRAST_NOISE = 2.0
"""... and in standard deviations of the batch noise of log loss."""

MIN_SIZE = 0.4
"""Rise of log ρ times contrast of log loss. It asks more of small jumps: one that raises ρ by 6 %
must raise the loss a thousandfold, one that raises ρ by a quarter sixfold. So a run that hardly
ever calms down is not cut into hundreds of periods, and thinned tables keep their jumps."""

MIN_SHARE = 0.2
"""Share of jumps among the norm's turns from falling to rising. Below it the norm wanders and what
looks like a jump is chance: 0.12 in stuck runs on digits, 0.56 with learning rate 10, 0.8 with 1,
0.25 to 0.5 in tables thinned to a few rows a period."""

CHANCE_TURNS = 5
"""Turns without a jump that it takes before `MIN_SHARE` is asked for."""

HALF_CLIMB = 0.5
"""The loss has certainly left its low level when the norm is half way up, even in thinned tables,
where it is the first row behind the jump."""

MOST_CLIMB = 0.9
"""The peak is sought until here: a slow last part of phase A may hold one bad batch."""

MAX_DRIFT = 0.05
"""Drift of the norm over the last half below which it has settled (`interface.md`)."""

DRIFT_BLOCKS = 10
"""Blocks of rows whose means a line is fitted to: their scatter about it tells how sure the drift
is, however the rows inside a block depend on each other."""

DRIFT_ERRORS = 3.0
"""A drift within so many standard errors of none may be chance: a norm that wanders about one place
has settled too, within the three limits that follow."""

WANDER_DRIFT = 0.3
"""... if the drift, of log ρ, is below this: a larger one is seen in any picture."""

WANDER_SHARE = 0.25
"""... if it is below this share of the range that log ρ covers over the last half."""

WANDER_BLOCKS = 0.4
"""... and if the means of the blocks stay within this share of that range: the norm comes back
within a block. In stuck runs on digits they span 0.01 to 0.07 of it. Those of a random walk, which
never comes back, span 0.5 to 0.9, and so do those of saw-teeth as long as a block."""

FREE_DECAY_SHARE = 0.5
"""A norm that falls at more than this share of the rate of weight decay alone is in free decay,
however little time it had: balanced forces are what *equilibrium* means."""

STUCK_SHARE = 0.1
"""Of the median loss of the first rows: above it the loss of the last half is high."""

FIRST_ROWS = 0.01
"""Share of rows (at least 3) that count as the first ones."""

SAME_LEVEL = 3.0
"""A settled loss within this factor of the first rows' has not shown a descent; where the table
begins after it, their level says nothing of what is high."""

PERIOD_SPREAD = 2.0
"""The periods are told by their quartiles where those differ by more than this factor: the median
may then lie where no period does."""

CONSISTENT_SPREAD = math.log(1.5)
"""Warm-up ends when a jump starts at a norm within this factor of the later jumps' median. In the
consistent stage on digits nine jumps in ten do."""

LOCK_CHANCE = 1e-3
"""Probability by chance below which jumps are called locked to one position in the epoch."""

LOCK_EVENTS = 4
"""... and the jumps at that position that it takes at least: three coincide too easily."""
