"""The image, rebuilt by its own Dockerfile without Docker, and both apps started out of it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from itertools import chain
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.image.building import rebuilt
from tests.image.containers import on_port, system
from tests.image.memory import memory
from tests.image.recipe import RECIPE, ROOT
from tests.image.stand_in.pip.__main__ import pinned
from tests.local.processes import free_port
from tests.waiting import until

ASKED = pytest.mark.asyncio(loop_scope="module")  # in the loop that the apps were started in

# Tries to make a file in every folder that the image brought; says where it could, and what is not read-only.
TRIES_TO_WRITE = """
import os
for folder, folders, _ in os.walk("/"):
    if folder in ("/proc", "/tmp", "/data", "/etc") or folder.startswith("/usr/"):
        folders.clear()
    try:
        os.close(os.open(f"{folder}/tried", os.O_CREAT | os.O_WRONLY))
        print("made a file in", folder)
    except OSError:
        pass
    if not os.statvfs(folder).f_flag & os.ST_RDONLY:
        print("can be written:", folder)
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    with memory(tmp_path_factory.mktemp("image")) as place:
        yield rebuilt(place, RECIPE, (ROOT / ".dockerignore").read_text(), REVISION="0123abc")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def apps(image, tmp_path_factory):
    async with system(image, tmp_path_factory.mktemp("apps")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def http():
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield client


@ASKED
async def test_a_caller_gets_a_token_and_what_was_said_is_read_back(apps, http):
    minted = (await http.post(f"{apps.broker.url}/realtime/token", json={})).raise_for_status().json()
    assert minted["token"].startswith("ek_")
    turn = {"turn_id": "u1", "speaker": "user", "text": "Hello", "spoken_at": "2026-11-20T08:00:00Z"}
    posted = {
        "grant": minted["enrichment"]["grant"],
        "session_id": minted["session_id"],
        "turns": [turn],
    }
    accepted = await http.post(minted["enrichment"]["url"], json=posted)
    assert (accepted.status_code, accepted.json()["accepted"]) == (202, ["u1"])

    async def read_back():
        episode = f"{apps.enrichment.url}/memory/episodes/{minted['session_id']}"
        lines = (await http.get(episode)).raise_for_status().json()["transcript"]
        return [line["content"] for line in lines if line["delivered"]]

    assert await until(read_back) == ["Hello"]


@ASKED
async def test_both_are_ready(apps, http):
    for app in (apps.broker, apps.enrichment):
        assert (await http.get(f"{app.url}/ready")).status_code == 200, app.running.tail()


@ASKED
async def test_docker_s_health_check_sees_who_is_up_and_who_is_not(image, apps):
    up = on_port(image.health, apps.enrichment.running.service.port)
    down = on_port(image.health, free_port())
    assert await apps.enrichment.run(*up) == (0, "")
    assert (await apps.enrichment.run(*down))[0] == 1


def test_they_are_nobody_and_can_become_nobody_else(apps):
    for app in (apps.broker, apps.enrichment):
        lines = Path(f"/proc/{app.first.pid}/status").read_text().splitlines()
        said = dict(line.split(":\t", 1) for line in lines)
        assert said["Uid"].split() == said["Gid"].split() == ["10001"] * 4
        assert (said["Groups"].strip(), int(said["CapEff"], 16), said["NoNewPrivs"]) == ("", 0, "1")


@ASKED
async def test_nothing_but_tmp_and_data_can_be_written(apps):
    code, said = await apps.enrichment.run("python", "-c", TRIES_TO_WRITE)
    made = {line.rpartition(" ")[2] for line in said.splitlines() if line.startswith("made")}
    can_be = {line.rpartition(" ")[2] for line in said.splitlines()}
    assert code == 0, said
    assert (made, can_be) == ({"/tmp", "/data"}, {"/tmp", "/data", "/proc"})


def test_what_enrichment_keeps_is_in_data(apps):
    kept = {path.name for path in apps.enrichment.inside.writable["/data"].iterdir()}
    assert {"outbox.db", "memory.db"} <= kept
    assert not [*apps.broker.inside.writable["/data"].iterdir()]


def test_all_but_data_is_root_s_and_nobody_else_may_change_it(image):
    for folder, folders, files in os.walk(image.root):
        for name in chain(folders, files):
            path = Path(folder, name)
            found = path.lstat()
            assert found.st_uid == (10001 if path == image.root / "data" else 0), path
            assert path.is_symlink() or not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH), path
            assert not found.st_mode & (stat.S_ISUID | stat.S_ISGID), path


def test_of_ours_it_holds_the_two_packages_with_their_bytecode_and_nothing_more(image):
    listed = subprocess.run(
        ["git", "ls-files", "broker", "enrichment"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    app = image.root / "app"
    found = {path.relative_to(app) for path in app.rglob("*") if path.is_file()}
    ours = {path for path in found if path.suffix != ".pyc"}
    assert ours == {Path(name) for name in [*listed.stdout.split(), "LICENSE", "sbom.json"]}
    compiled = {path.parent.parent / f"{path.name.partition('.')[0]}.py" for path in found - ours}
    assert compiled == {path for path in ours if path.suffix == ".py"}


def test_what_it_lists_is_what_the_lock_has_and_what_is_there(image):
    listed = json.loads((image.root / "app/sbom.json").read_text())
    assert listed["metadata"]["component"]["name"] == "voicelive"
    locked = {(name, version) for name, version in pinned((ROOT / "requirements-image.lock").read_text())}
    assert {(each["name"].lower().replace("_", "-"), each["version"]) for each in listed["components"]} == {
        (name.replace(".", "-"), version) for name, version in locked
    }


def test_it_says_which_commit_it_is_of(image):
    assert image.labels["org.opencontainers.image.revision"] == "0123abc"
    assert all(image.labels.values())


@ASKED
async def test_told_to_end_it_says_so_first_and_ends_with_0(image, apps, http):
    assert image.stop_signal == "SIGTERM"
    for app in (apps.broker, apps.enrichment):
        app.tell_to_end()

        async def leaving(app=app):
            return (await http.get(f"{app.url}/ready")).status_code == 503

        assert await until(leaving)
        assert (await http.get(f"{app.url}/health")).status_code == 200
        app.tell_to_end()  # the second one ends DRAIN_S
        assert await app.ended() == 0, app.running.tail()
