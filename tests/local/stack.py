"""Which processes make a local system, and how they know of each other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.local.processes import (
    BROKER_ALONE,
    ENRICHMENT_ALONE,
    Command,
    Launch,
    Running,
    execute,
    free_port,
    start,
)

SIMULATOR_KEY = "simulator-key"

# Limits counted as they are where people's data is, and so far up that no load of a bench meets one.
COUNTED = {
    "LIMITS": "on",
    "LIMIT_ADDRESS_PER_MINUTE": "1000000",
    "LIMIT_PERSON_PER_MINUTE": "1000000",
    "LIMIT_PERSON_PER_HOUR": "1000000",
    "LIMIT_PERSON_SESSIONS": "100000",
    "LIMIT_PERSON_MINUTES_A_DAY": "10000000",
    "LIMIT_PERSON_GRANTS_PER_MINUTE": "1000000",
    "LIMIT_ALL_PER_MINUTE": "1000000",
    "LIMIT_SESSION_PER_SECOND": "1000000",
    "LIMIT_SESSION_TURNS_A_DAY": "100000000",
    "LIMIT_SESSION_KIB_A_DAY": "100000000",
    "LIMIT_PERSON_KIB_A_DAY": "100000000",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Ports, folder and settings of one local system. ``settings`` go to whichever service reads them: each
    has the secrets that it needs, and no other.

    With ``ZEP_API_URL`` among them memory is Zep, unless ``MEMORY_BACKEND`` says another.
    ``more_pages`` are ports of further brokers, whose pages enrichment must let in too.
    """

    data: Path
    broker_port: int = field(default_factory=free_port)
    enrichment_port: int = field(default_factory=free_port)
    simulator_port: int = field(default_factory=free_port)
    settings: Mapping[str, str] = field(default_factory=dict)
    more_pages: Sequence[int] = ()

    @property
    def is_simulated(self) -> bool:
        return not self.settings.get("AZURE_VOICELIVE_ENDPOINT")

    @property
    def memory_backend(self) -> str:
        given = self.settings.get("MEMORY_BACKEND")
        return given or ("zep" if self.settings.get("ZEP_API_URL") else "embedded")

    def services(self) -> list[Command]:
        simulator = [self._simulator()] if self.is_simulated else []
        return [*simulator, self._enrichment(), self.broker()]

    def broker(self, *, port: int | None = None, **settings: str) -> Command:
        """The broker; another port and other settings make a second one beside it."""
        azure = {
            "AZURE_VOICELIVE_ENDPOINT": f"http://127.0.0.1:{self.simulator_port}",
            "AZURE_VOICELIVE_KEY": SIMULATOR_KEY,
            "AZURE_VOICELIVE_MODEL": "gpt-realtime",
        }
        port = port or self.broker_port
        environment = {
            **(azure if self.is_simulated else {}),
            **self._common(),
            "ENRICHMENT_URL": f"http://127.0.0.1:{self.enrichment_port}",
            "SERVE_PAGE": "true",
            **self._chosen(without=ENRICHMENT_ALONE),
            **settings,
        }
        name = "broker" if port == self.broker_port else f"broker-{port}"
        return Command(name, port, ["broker", "serve", "--port", str(port)], environment)

    def _enrichment(self) -> Command:
        environment = {
            **self._common(),
            "DATA_DIR": str(self.data),
            "GRANT_JWKS_URL": f"http://127.0.0.1:{self.broker_port}/.well-known/jwks.json",
            "MEMORY_BACKEND": self.memory_backend,
            **self._chosen(without=BROKER_ALONE),
        }
        port = self.enrichment_port
        return Command("enrichment", port, ["enrichment", "serve", "--port", str(port)], environment)

    def _simulator(self) -> Command:
        port = self.simulator_port
        arguments = ["tests.simulator", "--port", str(port), "--key", SIMULATOR_KEY]
        return Command("simulator", port, arguments)

    def _chosen(self, *, without: Collection[str]) -> dict[str, str]:
        return {name: value for name, value in self.settings.items() if name not in without}

    def _common(self) -> dict[str, str]:
        ports = [self.broker_port, *self.more_pages]
        pages = [f"http://{host}:{port}" for port in ports for host in ("127.0.0.1", "localhost")]
        return {"ENVIRONMENT": "development", "AUTH_REQUIRED": "false", "CORS_ORIGINS": json.dumps(pages)}


def new_signing_key() -> str:
    """For a plan with several brokers: enrichment takes the grants of all when they sign with one key."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Stack:
    """The processes of a `Plan`, by name."""

    def __init__(self, plan: Plan, launch: Launch = execute) -> None:
        self.plan = plan
        self._launch = launch
        self._running: dict[str, Running] = {}

    def __getitem__(self, name: str) -> Running:
        return self._running[name]

    @property
    def running(self) -> list[Running]:
        return list(self._running.values())

    async def start(self, *services: Command) -> None:
        """Start services side by side; returns when all answer."""
        started = [await start(service, self.plan.data / "logs", self._launch) for service in services]
        self._running |= {running.service.name: running for running in started}
        await asyncio.gather(*(running.answers() for running in started))

    async def restart(self, name: str) -> None:
        """Start again what has ended, with the same settings and port."""
        await self.start(self._running[name].service)

    async def stop(self) -> None:
        await asyncio.gather(*(running.stop() for running in self.running))


@asynccontextmanager
async def started(plan: Plan, launch: Launch = execute) -> AsyncIterator[Stack]:
    """The whole local system, ended on leaving."""
    stack = Stack(plan, launch)
    try:
        await stack.start(*plan.services())
        yield stack
    finally:
        await stack.stop()
