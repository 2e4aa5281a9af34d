"""Everything on one machine: the simulator, the broker with the page, and enrichment.

``make run`` supervises it for a person; browser tests and benches start the same thing for themselves.
"""
