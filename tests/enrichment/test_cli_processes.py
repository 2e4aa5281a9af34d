"""The operator's commands as processes of their own, beside a service that runs or was killed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import httpx
import pytest

from tests.enrichment.operator import CANARY, SAID, fill
from tests.local.processes import ROOT, Command, free_port, machine_environment, start

DEADLINE_S = 30
COMMAND = (sys.executable, "-m", "enrichment")


@pytest.fixture
def environment(tmp_path):
    return {"ENVIRONMENT": "development", "AUTH_REQUIRED": "false", "DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
async def service(tmp_path, environment):
    """A service that a page has told one turn; what it keeps is on disk."""
    port = free_port()
    arguments = ["enrichment", "serve", "--port", str(port)]
    running = await start(Command("enrichment", port, arguments, environment, "/ready"), tmp_path)
    try:
        await running.answers()
        async with httpx.AsyncClient(trust_env=False) as http:
            body = {"session_id": "s-1", "speaker": "user", "text": SAID}
            (await http.post(f"{running.url}/memory/enrich", json=body)).raise_for_status()
        yield running
    finally:
        await running.kill()


async def typed(words, environment):
    """Exit code, standard output and standard error; none has a word of what was said."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *words.split(),
        cwd=ROOT,
        env={**machine_environment(), **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert CANARY.encode() not in out + err
    assert b"Traceback" not in err
    return process.returncode, out.decode(), err.decode()


async def test_operators_look_beside_a_running_service_and_change_what_a_killed_one_left(
    service, environment
):
    code, out, _ = await typed("outbox stats --json", environment)
    assert (code, json.loads(out)["sessions"]) == (0, 1)
    assert (await typed("verify", environment))[0] == 0
    assert (await typed("outbox replay s-1 --yes", environment))[0] == 75
    assert (await typed("erase poc-user --yes", environment))[0] == 75
    await service.kill()
    code, out, _ = await typed("outbox show s-1 --json", environment)
    assert (code, len(json.loads(out)["turns"])) == (0, 1)
    assert (await typed("verify", environment))[0] == 0
    code, out, _ = await typed("erase poc-user --yes --json", environment)
    assert json.loads(out)["outbox"] == {"sessions": 1, "turns": 1}
    assert code == (0 if json.loads(out)["complete"] else 3)


async def test_the_service_goes_on_after_operators_looked(service, environment):
    await asyncio.gather(*(typed(words, environment) for words in ("outbox ls", "verify", "outbox export")))
    async with httpx.AsyncClient(trust_env=False) as http:
        body = {"session_id": "s-1", "speaker": "user", "text": SAID}
        assert (await http.post(f"{service.url}/memory/enrich", json=body)).status_code == 202
        assert (await http.get(f"{service.url}/ready")).status_code == 200


def test_a_reader_that_goes_away_is_no_reason_to_complain(environment, tmp_path):
    (tmp_path / "data").mkdir()
    fill(tmp_path / "data")
    with subprocess.Popen(
        [*COMMAND, "outbox", "export"],
        cwd=ROOT,
        env={**machine_environment(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(DEADLINE_S) == 1


def test_words_that_the_terminal_cannot_write_are_written_as_escapes(environment, tmp_path):
    (tmp_path / "data").mkdir()
    fill(tmp_path / "data")
    latin = {**machine_environment(), **environment, "PYTHONIOENCODING": "ascii"}
    words = [*COMMAND, "outbox", "show", "s-1", "--text"]
    read = subprocess.run(words, cwd=ROOT, env=latin, capture_output=True, timeout=DEADLINE_S, check=False)
    assert (read.returncode, read.stderr) == (0, b"")
