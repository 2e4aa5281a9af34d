"""What a mint costs: the bare upstream, a floor, the broker and its peers, asked in turns in one run.

Each system runs in a process of its own on one core; the fake Azure, enrichment and the callers share the
others. The systems are asked round-robin, several rounds; noise only ever makes a round worse, so each figure
is that of the system's best round. Every round is in the JSON.
"""
