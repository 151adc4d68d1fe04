"""What figures ask of records: quantities and checks that more than one of them uses, or that would
drown the figure's own module."""
