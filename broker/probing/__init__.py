"""The parts of `python -m broker probe`: asking every row, advice, checks, one call, the report."""
