"""The processes of one run: the fake Azure, and the system that is put to the test."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.bench.faults.domain import first_key, second_key
from tests.bench.faults.schedules import Schedule
from tests.local.processes import Command, free_port


class System(StrEnum):
    """Who is asked for tokens."""

    OURS = "ours"
    SEED_CHAIN = "seed-chain"
    ORIGINAL = "original"


@dataclass(frozen=True, slots=True)
class Ports:
    """Of one run. ``untouched``: where the fake redeems tokens and answers the conductor."""

    a: int
    b: int
    untouched: int
    system: int

    @classmethod
    def free(cls) -> Ports:
        return cls(*(free_port() for _ in range(4)))

    @property
    def identity(self) -> str:
        return f"http://127.0.0.1:{self.untouched}/identity/token"


def fake_azure(schedule: Schedule, ports: Ports) -> Command:
    arguments = ["tests.bench.faults.azure", "--mix", schedule.mix.name, "--seed", str(schedule.seed)]
    arguments += ["--length", str(schedule.length_s), *(["--drill"] if schedule.is_drill else [])]
    arguments += ["--domains", str(ports.a), str(ports.b), "--untouched", str(ports.untouched)]
    return Command("azure", ports.untouched, arguments, probe="/figures")


def under_test(system: System, schedule: Schedule, ports: Ports) -> Command:
    if system is System.OURS:
        return _broker(schedule, ports)
    arguments = ["tests.bench.faults.ports", system.value, "--port", str(ports.system)]
    arguments += ["--endpoint", f"http://127.0.0.1:{ports.a}"]
    if schedule.mix.has_identity:
        arguments += ["--identity", ports.identity]
    return Command(system.value, ports.system, arguments)


def _broker(schedule: Schedule, ports: Ports) -> Command:
    """As an operator would set it up who follows every advice of the documents, old and new."""
    second = {
        "endpoint": f"http://127.0.0.1:{ports.b}",
        "key": first_key("B"),
        "model": "gpt-realtime",
        "region": "second",
    }
    environment = {
        "ENVIRONMENT": "development",
        "AUTH_REQUIRED": "false",
        "ENRICHMENT_URL": "",
        "AZURE_VOICELIVE_ENDPOINT": f"http://127.0.0.1:{ports.a}",
        "AZURE_VOICELIVE_KEY": first_key("A"),
        "AZURE_VOICELIVE_KEY_2": second_key("A"),
        "AZURE_VOICELIVE_MODEL": "gpt-realtime",
        "AZURE_VOICELIVE_DOMAINS": json.dumps([second] if "B" in schedule.mix.domains else []),
        "AZURE_VOICELIVE_IDENTITY": "managed" if schedule.mix.has_identity else "off",
        "AZURE_VOICELIVE_API_VERSION": "2025-08-28" if schedule.mix.is_like_the_source else "",
        "AZURE_VOICELIVE_PROJECT_NAME": "bench" if schedule.mix.is_like_the_source else "",
        "IDENTITY_ENDPOINT": ports.identity,
        "IDENTITY_HEADER": "bench",
    }
    return Command("ours", ports.system, ["broker", "serve", "--port", str(ports.system)], environment)


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many callers come, and how fast."""

    n: int
    rate: float

    @property
    def length_s(self) -> float:
        return self.n / self.rate


def callers(crowd: Crowd, schedule: Schedule, ports: Ports, begin_at: float, into: Path) -> list[str]:
    """The command line of the process that makes the load."""
    return [
        sys.executable,
        *("-m", "tests.bench.faults.load"),
        *("--target", f"http://127.0.0.1:{ports.system}"),
        *("--calls", f"http://127.0.0.1:{ports.untouched}"),
        *("--n", str(crowd.n), "--rate", str(crowd.rate), "--seed", str(schedule.seed)),
        *("--begin-at", str(begin_at), "--into", str(into)),
    ]
