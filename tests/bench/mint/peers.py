"""The peers that package registries carry: fetched into ``.bench/peers`` by the run, never vendored."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.report import FOLDER
from tests.local.processes import ROOT
from tests.node import find_node

LAUNCHERS = Path(__file__).parent / "launchers"
INSTALL_S = 900.0
LITELLM_KEY = "sk-bench"


class NotInstalled(Exception):
    """The registry or its client refused."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer is installed, which port it listens on and where its upstream is."""

    folder: Path
    port: int
    upstream: str


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer: what to install from where, how to start it, and how to ask it for a token."""

    name: str
    packages: Sequence[str]
    is_python: bool
    command: Callable[[Place], Sequence[str]]
    route: str
    probe: str
    body: str = "{}"
    proof: str = '"ek_'
    headers: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return (ROOT / FOLDER / "peers" / self.name.strip("@").replace("/", "-")).resolve()

    async def install(self) -> None:
        """Once; again when the packages wanted have changed. Raises `NotInstalled`."""
        wanted = "\n".join(self.packages)
        installed = self.folder / ".installed"
        if installed.exists() and installed.read_text() == wanted:
            return
        print(f"Installing {self.name} ...", flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for step in _python_steps(self) if self.is_python else _node_steps(self):
            await _run(step)
        installed.write_text(wanted)


def _python_steps(peer: Peer) -> list[list[str]]:
    pip = [str(_python(peer.folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [[sys.executable, "-m", "venv", str(peer.folder)], [*pip, *peer.packages]]


def _node_steps(peer: Peer) -> list[list[str]]:
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    return [[_node("npm"), "install", "--prefix", str(peer.folder), *quiet, *peer.packages]]


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _node(program: str) -> str:
    return str(find_node().folder / program)


async def _run(command: Sequence[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | {"npm_config_update_notifier": "false"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(INSTALL_S):
            output, _ = await process.communicate()
    except TimeoutError as exc:
        raise NotInstalled(f"not installed after {INSTALL_S:g} s") from exc
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = output.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise NotInstalled(f"not installed: {said[-1][:200]}")


def _az_realtime(place: Place) -> list[str]:
    launcher = LAUNCHERS / "az_realtime_webrtc.py"
    return [str(_python(place.folder)), str(launcher), str(place.port), place.upstream]


def _azure_realtime(place: Place) -> list[str]:
    return [_node("node"), str(LAUNCHERS / "azure-realtime-webrtc.cjs"), str(place.port), place.upstream]


def _navai(place: Place) -> list[str]:
    return [_node("node"), str(LAUNCHERS / "navai-voice-backend.cjs"), str(place.port), place.upstream]


def _litellm(place: Place) -> list[str]:
    model = {"model": "azure/gpt-realtime", "api_base": place.upstream, "api_key": "bench-key"}
    config = {
        "model_list": [{"model_name": "gpt-realtime", "litellm_params": model}],
        "general_settings": {"master_key": LITELLM_KEY},
    }
    path = place.folder / "config.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    program = [str(place.folder / "bin" / "litellm"), "--config", str(path), "--host", "127.0.0.1"]
    return [*program, "--port", str(place.port), "--num_workers", "1"]


NODE = {"NODE_ENV": "production"}
PEERS = (
    Peer(
        "az-realtime-webrtc",
        ["az-realtime-webrtc[fastapi]==0.2.0", "uvicorn[standard]"],
        True,
        _az_realtime,
        "/api/realtime/token",
        "/api/realtime/health",
    ),
    Peer(
        "azure-realtime-webrtc",
        ["azure-realtime-webrtc@0.2.1", "express@5"],
        False,
        _azure_realtime,
        "/api/realtime/token",
        "/api/realtime/health",
        environment=NODE,
    ),
    Peer(
        "@navai/voice-backend",
        ["@navai/voice-backend@0.1.3", "express@5"],
        False,
        _navai,
        "/navai/realtime/client-secret",
        "/navai/functions",
        environment=NODE,
    ),
    Peer(
        "litellm",
        ["litellm[proxy]==1.106.2"],
        True,
        _litellm,
        "/v1/realtime/client_secrets",
        "/health/liveliness",
        body=json.dumps({"session": {"type": "realtime", "model": "gpt-realtime"}}),
        proof='"value"',  # it encrypts what Azure minted
        headers={"Authorization": f"Bearer {LITELLM_KEY}"},
        # Without these it asks the internet for prices and headers at start.
        environment={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
        },
    ),
)
