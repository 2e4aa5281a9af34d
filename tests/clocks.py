"""A clock that moves when a test says so."""


class Clock:
    """Seconds, starting in November 2026."""

    def __init__(self, now_s: float = 1_795_000_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
