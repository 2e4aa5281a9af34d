"""Where turns end up: what a memory promises, and the backends that keep it."""
