"""The two apps started out of the image, as Bicep starts them in staging.

Azure, its databases and Zep are not there.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bicep.settings import app_of, container_of, deployed, variables_of
from tests.image.building import Image
from tests.image.sandbox import Inside
from tests.local.processes import Command, Running, free_port, start

ENVIRONMENT = "staging"
KEY = "simulator-key"
PORT = "8080"  # inside; there is one network here, so each gets another
NOT_HERE = frozenset(["AZURE_VOICELIVE_IDENTITY", "LIMITS_URL", "DATABASE_URL", "ZEP_API_URL", "ZEP_API_KEY"])


@dataclass(frozen=True, slots=True)
class Container:
    """A started app. ``inside`` says how another process is started in its root."""

    running: Running
    inside: Inside

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def first(self) -> psutil.Process:
        """The app itself: the first process of its own space."""
        (child,) = psutil.Process(self.running.process.pid).children()
        return child

    async def run(self, *words: str) -> tuple[int, str]:
        """Exit code and output of a command beside it, as ``docker exec`` would give."""
        return await run(self.inside, *words)

    async def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        async with asyncio.timeout(20):
            return await self.running.process.wait()

    def tell_to_end(self) -> None:
        self.first.send_signal(signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class System:
    """Both apps."""

    broker: Container
    enrichment: Container


def command_of(package: str) -> list[str]:
    """What Bicep starts."""
    return list(container_of(app_of(deployed(ENVIRONMENT), package))["command"])


def on_port(words: list[str], port: int) -> list[str]:
    return [word.replace(PORT, str(port)) for word in words]


async def run(place: Inside, *words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *place.command(*words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


@asynccontextmanager
async def system(image: Image, folder: Path) -> AsyncIterator[System]:
    """Both apps and the simulator, ready to be asked."""
    ports = {name: free_port() for name in ("simulator", "broker", "enrichment")}
    url = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    changed = {
        "broker": {
            "AZURE_VOICELIVE_ENDPOINT": url["simulator"],
            "AZURE_VOICELIVE_KEY": KEY,
            "AZURE_VOICELIVE_DOMAINS": "[]",
            "ENRICHMENT_URL": url["enrichment"],
        },
        "enrichment": {
            "MEMORY_BACKEND": "embedded",
            "GRANT_JWKS_URL": f"{url['broker']}/.well-known/jwks.json",
        },
    }
    async with AsyncExitStack() as stack:
        words = ["tests.simulator", "--port", str(ports["simulator"]), "--key", KEY]
        simulator = await start(Command("simulator", ports["simulator"], words), folder)
        stack.push_async_callback(simulator.stop)
        apps = {}
        for package, differing in changed.items():
            staged = variables_of(deployed(ENVIRONMENT), package)
            variables = {name: value for name, value in staged.items() if name not in NOT_HERE} | differing
            # A root that can only be read, but for /tmp, and a volume at /data.
            place = image.inside(variables, writable={"/data": volume(image, folder / package)})
            apps[package] = await started(package, ports[package], place, folder)
            stack.push_async_callback(apps[package].running.kill)
        await asyncio.gather(simulator.answers(), *(app.running.answers() for app in apps.values()))
        yield System(**apps)


def volume(image: Image, folder: Path) -> Path:
    """A new volume: it belongs to whom /data in the image belongs to."""
    folder.mkdir()
    owner = (image.root / "data").stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    return folder


async def started(package: str, port: int, place: Inside, logs: Path) -> Container:
    log = logs / f"{package}.log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *place.command(*on_port(command_of(package), port)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
    return Container(Running(Command(package, port, []), process, log), place)
