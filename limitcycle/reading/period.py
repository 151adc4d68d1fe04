"""The periods of a run, and the typical one."""

from dataclasses import dataclass

from limitcycle.reading.history import History


@dataclass(frozen=True)
class Period:
    """One turn of the oscillator: the steps at which its phases begin and the last one ends."""

    phase_a: float
    phase_b: float
    phase_c: float
    end: float

    @property
    def phases(self) -> tuple[tuple[str, float, float], ...]:
        """Letter, first step and last step of each phase."""
        return (
            ("A", self.phase_a, self.phase_b),
            ("B", self.phase_b, self.phase_c),
            ("C", self.phase_c, self.end),
        )


def typical_period(history: History) -> Period | None:
    """The period of median length among the later half, where training is past its warm-up.

    None where no two events follow each other with a phase B between them.
    """
    found = periods(history)
    late = found[len(found) // 2 :]
    if not late:
        return None
    return sorted(late, key=lambda period: period.end - period.phase_a)[(len(late) - 1) // 2]


def periods(history: History) -> list[Period]:
    """The complete ones, from peak to peak; what comes before the first peak is no period."""
    starts, peaks = (history.diagnosis.events[name].to_numpy(float) for name in ("start", "peak"))
    phases = history.diagnosis.phases
    quiet = phases.loc[phases["phase"] == "B", "start"].to_numpy(float)
    tops = [quiet[(quiet >= a) & (quiet < c)] for a, c in zip(peaks[:-1], starts[1:], strict=True)]
    return [
        Period(peak, top[0], start, end)
        for peak, top, start, end in zip(peaks[:-1], tops, starts[1:], peaks[1:], strict=True)
        if len(top)
    ]
