"""When the next jump comes: how it is reckoned, step by step.

- `pace` is a run on the clock of its weight decay, and its effective learning rate against that;
- `measures` are the few numbers of one moment that the forecast hangs on;
- `threshold` makes quantiles of them, by numbers that were fitted to runs (`fitted`);
- `alarm` is what a loss without the noise of mini-batches says besides;
- `limitcycle.reading.forecast` puts them together and says where nobody can know.
"""
