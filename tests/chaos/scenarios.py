"""Everything that goes wrong, in the order in which it is played."""

from __future__ import annotations

from tests.chaos import disturbing, dying, sharing
from tests.chaos.outcome import Scenario

EMBEDDED, SHARED = ("sqlite",), ("postgres",)

SCENARIOS = (
    Scenario("killed", "kill -9 under 32 connections, again and again", dying.killed, briefly=EMBEDDED),
    Scenario("power-cut", "a disk that forgets what was not synced", dying.power_cut, EMBEDDED),
    Scenario("disk-full", "no room for outbox and memory, and room again", dying.disk_full, EMBEDDED),
    Scenario(
        "frozen", "deliveries and processes that stand still past their lease", dying.frozen, briefly=SHARED
    ),
    Scenario(
        "replies-dropped",
        "memory keeps what it does not answer, one in five",
        disturbing.replies_dropped,
        briefly=EMBEDDED,
    ),
    Scenario("shuffled", "every post three times, in any order", disturbing.shuffled, briefly=SHARED),
    Scenario(
        "memory-away",
        "ten simulated minutes without memory, 20 turns/s",
        disturbing.memory_away,
        briefly=EMBEDDED,
    ),
    Scenario(
        "database-stopped", "PostgreSQL crashes and comes back, under load", sharing.database_stopped, SHARED
    ),
    Scenario(
        "rolling-restart", "five replicas, each ended and started in turn", sharing.rolling_restart, SHARED
    ),
)
