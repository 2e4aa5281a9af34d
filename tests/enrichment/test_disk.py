"""The file is ours alone, on a local disk, and not the last thing that fits on it."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from enrichment.disk import (
    LEAST_FREE_BYTES,
    LOOK_S,
    Lock,
    Room,
    WrongPlace,
    file_system,
    refuse_network_share,
)
from enrichment.outbox.port import StorageFailed
from enrichment.outbox.sqlite import SqliteOutbox
from tests.enrichment.build import turn

GIB = 1024**3


def mounted(tmp_path, kind):
    table = tmp_path / "mounts"
    table.write_text(f"/dev/root / ext4 rw 0 0\nserver:/share {tmp_path} {kind} rw 0 0\n")
    return table


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "smb3", "fuse.sshfs"])
def test_a_file_on_a_network_share_is_refused(tmp_path, kind):
    with pytest.raises(WrongPlace, match=kind):
        refuse_network_share(tmp_path / "outbox.db", mounted(tmp_path, kind))


def test_a_file_on_a_local_disk_is_welcome(tmp_path):
    refuse_network_share(tmp_path / "outbox.db", mounted(tmp_path, "xfs"))
    refuse_network_share(tmp_path / "outbox.db")
    refuse_network_share(tmp_path / "outbox.db", tmp_path / "a system without such a table")


def test_the_nearest_mount_decides_also_when_its_name_has_a_space():
    table = "a / ext4 rw 0 0\nb /mnt/my\\040share nfs rw 0 0\nc /mnt/my\\040share/local ext4 rw 0 0\n"
    assert file_system(Path("/mnt/my share/x.db"), table) == "nfs"
    assert file_system(Path("/mnt/my share/local/x.db"), table) == "ext4"
    assert file_system(Path("/elsewhere"), table) == "ext4"


async def test_two_processes_never_have_one_file(tmp_path, clock):
    outbox = SqliteOutbox(tmp_path / "outbox.db", now=clock)
    with pytest.raises(WrongPlace, match="another process has outbox"):
        SqliteOutbox(tmp_path / "outbox.db", now=clock)
    await outbox.close()
    again = SqliteOutbox(tmp_path / "outbox.db", now=clock)
    await again.close()


def test_a_lock_ends_with_whoever_held_it(tmp_path):
    Lock(tmp_path / "x.lock").release()
    Lock(tmp_path / "x.lock").release()


@pytest.mark.parametrize(
    ("total", "free", "is_short"),
    [
        (100 * GIB, LEAST_FREE_BYTES, False),
        (100 * GIB, LEAST_FREE_BYTES - 1, True),
        (GIB, 0.11 * GIB, False),
        (GIB, 0.09 * GIB, True),
    ],
)
def test_room_is_short_when_little_is_left_for_the_size_of_the_disk(
    tmp_path, monkeypatch, total, free, is_short
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(total=total, free=free))
    assert Room(tmp_path / "outbox.db").is_short() is is_short


async def test_a_nearly_full_disk_takes_nothing_new_and_keeps_what_it_has(outbox, clock, monkeypatch):
    await outbox.accept("p", "s", [turn("a")])
    clock.pass_s(LOOK_S)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(total=GIB, free=0))
        with pytest.raises(StorageFailed):
            await outbox.accept("p", "s", [turn("b")])
        await outbox.delivered(await outbox.claim())
    clock.pass_s(LOOK_S)
    assert (await outbox.accept("p", "s", [turn("b")])).accepted == ["b"]


def test_the_ballast_is_kept_once_and_given_back_once(tmp_path):
    room = Room(tmp_path / "outbox.db", ballast_bytes=1024 * 1024)
    room.keep_ballast()
    room.keep_ballast()
    assert [room.drop_ballast(), room.drop_ballast()] == [1024 * 1024, 0]


def test_no_ballast_is_taken_from_the_last_room(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(total=GIB, free=0))
    room = Room(tmp_path / "outbox.db", ballast_bytes=1024 * 1024)
    room.keep_ballast()
    assert [*tmp_path.iterdir()] == []


async def test_nobody_else_on_the_machine_may_read_the_files(tmp_path, outbox):
    await outbox.accept("p", "s", [turn("a")])
    files = [
        path for path in tmp_path.iterdir() if path.name.startswith("outbox.db") and path.suffix != ".lock"
    ]
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
