"""Which step it belongs to what a script says."""

from hypothesis import given
from hypothesis import strategies as st

from limitcycle.watching.attribution import Attribution
from limitcycle.watching.buffer import Row


def told(steps, every, *, before, failing=()):
    """What the rows of a script know that says of step t the number t, before it or after it."""
    attribution, rows = Attribution(every), []

    def say(step):
        if attribution.is_kept:
            attribution.add("loss", step)

    for step in range(steps):
        if before:
            say(step)
        if not attribution.at_rest:
            attribution.settle()
            if step == 0:
                attribution.begin()
            if attribution.has_row:
                row = Row(step, [])
                attribution.open(row)
                if step in failing:
                    attribution.withdraw()
                else:
                    rows.append(row)
            else:
                attribution.pass_over()
        attribution.step += 1
        if not before and step not in failing:
            say(step)
    attribution.settle()
    return {row.step: row.logged.get("loss", []) for row in rows}


@given(st.integers(1, 30), st.integers(1, 5), st.booleans(), st.sets(st.integers(1, 29)))
def test_every_row_has_what_was_said_of_its_step(steps, every, before, failing):
    found = told(steps, every, before=before, failing=failing)
    kept = [step for step in range(0, steps, every) if step not in failing]
    assert found == {step: [step] for step in kept}
