"""Benchmarks: each prints a table and its bars, writes JSON and a plot to ``.bench/``, exits 1 on a miss."""
