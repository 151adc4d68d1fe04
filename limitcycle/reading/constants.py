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

LEVEL_ROWS = 20
"""Rows that it takes at least to tell a low level and the scatter about it."""

LEVEL_SHARE = 0.05
"""Share of the rows over which the running low level is taken, if they are enough. It holds several
periods where there are many, and is well below one where there are few; its median needs the loss
to be low in half of them."""

LEVEL_BLOCKS = 2_000
"""Blocks of rows of which a long table takes the running level: a hundred in each window."""

MIN_HEIGHT = 3.0
"""How high the loss must stand above its low level: 19 times the scatter about it. Jumps stand 4.2
to 7.7 high (quartiles of 1,200 on digits). In stuck runs (learning rate 100) one climb of the norm
in fifty is as high, and the worst of 5,000 batches stands 2.5 high."""

SPIKE_SIZE = 0.05
"""Share of the descent that a spike must take back. A run at a loss of 1e-4 has batches that stand
high above its noise and are nothing that anybody would call a spike."""

MIN_SIZE = 0.3
"""Rise of log ρ times height of the loss. It asks more of small jumps: one that raises ρ by a
twentieth must stand 6 high, one that raises it by a tenth 3. So a run that hardly ever calms down
is not cut into hundreds of periods."""

NEARLY = 0.6
"""Share of the height that a jump must have, above which a rise that lacks it is a close call."""

MIN_SHARE = 0.2
"""Share of jumps among the norm's turns from falling to rising. Below it the norm wanders and what
looks like a jump is chance. On digits it is 0.01 and 0.02 with learning rate 100, 0.09 to 0.13 with
30, 0.55 and 0.56 with 10, 0.98 and 1 with 1."""

CLOSE_SHARE = 1.25
"""Factor on it within which it is a close call."""

CLEAR_HEIGHT = 4.5
"""A jump as high as this is none by chance: of 2,100 climbs with learning rates 30 and 100 the
highest is 3.9."""

CHANCE_TURNS = 5
"""Turns without a jump that it takes before `MIN_SHARE` is asked for."""

HALF_CLIMB = 0.5
"""The loss has certainly left its low level when the norm is half way up, even in thinned tables,
where it is the first row behind the jump."""

MOST_CLIMB = 0.9
"""The peak is sought until here: a slow last part of phase A may hold one bad batch."""

MAX_DRIFT = 0.05
"""Drift of the norm over the last half below which it has settled ."""

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

CLOSE = 1.05
"""Factor on the limits that tell settled from not settled within which it is a close call."""

SCHEDULE_RISE = 2.0
"""A learning rate that rises by more than this within a jump is its cause: a change of schedule."""

SUDDEN = 0.9
"""Share of a rise made from one step to the next, above which it was made from outside. Of 447
jumps with a slow recovery the loss of one made 0.6 at once, that of a hundredth 0.23 or more."""

SUDDEN_FOR_GOOD = 0.5
"""... and where the loss never comes back: on a new level its noise may be larger."""

SLOW_ROWS = 10
"""... and the loss takes so many rows at least to come back: a bad batch is back at once."""

OFTEN = 3
"""So many changes of data are jumps nevertheless: an odd batch sets one off within a step, again
and again. And where there are so many jumps, one that is there within a step is one more."""

LONG_OVER = 20.0
"""A loss is not on its way back any more when so many times the rows of the norm's climb have gone
by, and twice those of the longest recovery."""

SCHEDULED_OUT = 0.01
"""A schedule that has brought ηλ below this share of what it was at the jumps has ended them: the
next one would be a hundred periods away."""

FREE_DECAY_SHARE = 0.5
"""A norm that falls at more than this share of the rate of weight decay alone is in free decay,
however little time it had: balanced forces are what *equilibrium* means."""

STUCK_SHARE = 0.1
"""Of the loss of a uniform guess, where zero is in reach: a run that stays above it is stuck."""

FIRST_SHARE = 0.05
"""Share of rows that count as the first ones where a table is compared with its own beginning..."""

FIRST_ROWS = 30
"""... and at least so many, or a quarter of a short table."""

DESCENT_ERRORS = 5.0
"""A loss came down if its last half lies so many standard errors below the first rows."""

CLOSE_DESCENT = 1.5
"""Factor on it within which it is a close call."""

BEGINNING = 0.01
"""A table whose first step lies within this share of its steps begins with its training. One that
begins later cannot tell what loss is high."""

CLEAR_DESCENT = 40.0
"""A descent of so many times the noise of the loss is no doubt one. Runs that are stuck on digits
come down by 3 to 10, the one of Figure 2 by 20, others by hundreds."""

GAPS = 0.05
"""Share of distances between rows that are longer than usual, above which rows are missing."""

COARSE_SWING = 0.04
"""A norm whose swings of this size may be noise is logged too seldom for its jumps. Logged at every
step the norms of 73 of 74 runs stay below it; logged every tenth, every run that loses its
label by that is above."""

LAG = 0.4
"""Share of its peak at which the loss stands when the norm has stopped rising, above which it is an
average over many steps. Its median over the climbs was 0.38 at most in 121 runs; averaged over 100
rows it was 0.5 and more in all but one."""

LAG_ROWS = 4
"""Climbs of so many rows tell."""

CLEAR_RISE = 0.1
"""Rise of log ρ of a climb that is looked at to tell whether rows are too far apart."""

AT_ONCE = 0.95
"""Share of a climb between two rows, above which rows are further apart than a jump lasts. Logged
at every step the medians of 121 runs were 0.86 (full batch) and less; of one row in a hundred most
are 1."""

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

HELD_REACH, HELD_DECAY, HELD_ROWS = 1e-4, 0.1, 10
"""A norm that moves by less than this, relatively, while weight decay alone would shrink it by so
much, is held; so many rows at least tell it."""

CAP_SHARE = 0.65
"""Share of the effective learning rate at which jumps began, at which to cap it: what
``benchmarks/remedies.py`` follows."""

CAP_JUMPS = 5
"""Jumps that are looked at for that: the last ones, and of these the lowest."""

CAUSE_ROWS, CAUSE_NEAR, CAUSE_LEAST = 150, 15, 30
"""Why the loss rose is told by so many rows before it: of these the last few, in which something
moved first, against the calm ones before, of which it takes some."""

RATE_RISE = 1.5
"""A learning rate that rose by more than this just before is the cause."""

GRADIENT_JUMP = 15.0
"""Times by which a gradient grows from one step to the next, beyond what its loss does, when the
arithmetic is wrong. In 742 rises of runs on digits it was 5 at most with mini-batches, and 8 in all
but one with the full batch."""

STATE_TURN, STATE_GRADIENT = 5.0, 3.0
"""The weights turn so many times as far, at a gradient that stays below so many times the usual
one, when an optimizer has lost its state."""

BATCH_HEIGHT, BATCH_SHARE, BATCH_TURN = 5.0, 0.8, 5.0
"""The loss of a bad batch stands so high at once, has so much of the whole height, and comes after
turns of the weights below so many times the usual. That was so in 1 of 742 rises on digits; jumps
that one hard batch set off went on to rise."""

LAG_BEHIND, LAG_GROWTH = math.e, 1.1
"""Adam's second moment lags where squared gradients are so many times as large; it is the cause
where the effective learning rate grew by less than this factor."""

CLEAR_GROWTH = 1.2
"""A factor of the effective learning rate worth naming as what led to a rise."""

SCHEDULE_SHARE = 0.5
"""A schedule that takes more than this share from the growth that weight decay gives to the
effective learning rate ends the jumps, or moves them to where nobody knows."""

LONGEST = 3.0
"""A jump more than so many times the run so far ahead is no forecast."""

LEAVING = 2.0
"""A last loss that stands so high above its calm may be a jump that begins."""

CALM_ROWS = 2
"""Rows behind the norm's maximum that it takes to call a jump over."""

QUIET_TAIL = 100
"""Last rows that tell whether a loss has the noise of batches, where no jump was."""

ALARM_CURVED = 0.35
"""Share of its fall that curvature takes from the loss, from which on a jump is about to begin."""

ALARM_AGE = 0.5
"""... not before this share of the usual period: behind a jump the loss is curved, too."""

ALARM_POSITION = -0.9
"""... nor while the effective learning rate is nearly as low as it was behind the last jump."""
