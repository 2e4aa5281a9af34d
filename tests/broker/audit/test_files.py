"""The audit in files: durable, added to only, mended after a fault."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.edge.audit import files
from broker.edge.audit.files import FileAnchors, FileSink
from broker.edge.audit.port import AuditFailed, SinkFailed
from broker.edge.audit.sealing import Head
from broker.edge.audit.stored import anchor_lines, files_of
from broker.edge.audit.verifying import read_anchors
from tests.broker.audit.build import MINT, auditing, checked, sealed, told


async def test_what_is_written_can_be_read_back_and_holds(tmp_path):
    async with auditing(FileSink(tmp_path / "audit", "c")) as audit:
        await audit.write(MINT)
        await audit.write(MINT, MINT)
        assert [line["n"] for line in told(tmp_path / "audit")] == [1, 2, 3, 4]


def test_a_line_is_synced_before_it_counts_as_written(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync", lambda fd: synced.append(os.fstat(fd).st_size))
    FileSink(tmp_path, "c").append(sealed(2))
    assert synced == [(tmp_path / "c.0001.jsonl").stat().st_size]


def test_others_on_the_machine_cannot_read_it(tmp_path):
    FileSink(tmp_path, "c").append(sealed(1))
    assert (tmp_path / "c.0001.jsonl").stat().st_mode & 0o007 == 0


def full_after(space):
    """A disk with room for so many bytes."""
    left = [space]

    def write_all(fd, text):
        os.write(fd, text[: left[0]])
        left[0] -= min(left[0], len(text))
        if not left[0]:
            raise OSError(errno.ENOSPC, "canary")

    return write_all


async def test_a_full_disk_leaves_no_half_line_once_there_is_room_again(tmp_path, monkeypatch):
    async with auditing(FileSink(tmp_path, "c")) as audit:
        await audit.write(MINT)
        with monkeypatch.context() as patched:
            patched.setattr(files, "write_all", full_after(700))
            with pytest.raises(AuditFailed, match=r"^OSError ENOSPC$"):
                await audit.write(MINT, MINT)
        assert not checked(tmp_path).is_whole  # as a crash would leave it: the half line is told of
        await audit.write(MINT)
        assert [line["n"] for line in told(tmp_path)] == [1, 2, 3]


async def test_a_folder_that_cannot_be_made_fails_until_it_can(tmp_path):
    (tmp_path / "audit").write_text("a file is in its place")
    async with auditing(FileSink(tmp_path / "audit", "c")) as audit:
        with pytest.raises(AuditFailed, match="EEXIST"):
            await audit.write(MINT)
        (tmp_path / "audit").unlink()
        await audit.write(MINT)
    assert len(told(tmp_path / "audit")) == 2


async def test_a_file_that_is_deleted_under_us_fails_and_what_comes_later_shows_the_gap(tmp_path):
    async with auditing(FileSink(tmp_path, "c")) as audit:
        await audit.write(MINT)
        (tmp_path / "c.0001.jsonl").unlink()
        with pytest.raises(AuditFailed, match="ENOENT"):
            await audit.write(MINT)
        await audit.write(MINT)
    (wrong,) = checked(tmp_path).wrong
    assert (wrong.kind, wrong.where) == ("missing", "c.0002.jsonl, line 1")


def test_a_link_that_somebody_put_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "c.0001.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SinkFailed):
        FileSink(tmp_path, "c").append(sealed(1))
    assert not (tmp_path / "elsewhere").exists()


def parts(folder, count=6):
    sink = FileSink(folder, "c", enough_bytes=400)
    for line in sealed(count):
        sink.append([line])
    sink.close()
    return files_of(folder)


def test_a_chain_goes_on_in_further_files_and_is_checked_as_one(tmp_path):
    assert len(parts(tmp_path)) > 1
    assert (checked(tmp_path).is_whole, checked(tmp_path).lines) == (True, 6)
    assert checked(tmp_path / "c.0002.jsonl", is_all=False).lines == 6


def test_a_part_that_is_gone_is_found(tmp_path):
    _first, second, *_others = parts(tmp_path, 9)
    second.unlink()
    assert checked(tmp_path).wrong[0].kind == "missing"


def test_a_file_without_its_last_byte_is_found_without_an_anchor(tmp_path):
    (file,) = parts(tmp_path, 1)
    file.write_bytes(file.read_bytes()[:-1])
    (wrong,) = checked(tmp_path).wrong
    assert (wrong.kind, wrong.where) == ("cut off", "c.0001.jsonl, line 1")


@given(st.data())
def test_any_byte_of_a_file_that_is_changed_or_cut_is_found(data):
    with TemporaryDirectory() as folder:
        (file,) = parts(Path(folder), 1)
        raw = bytearray(file.read_bytes())
        place = data.draw(st.integers(0, len(raw) - 1))
        if data.draw(st.booleans()):
            raw[place] ^= data.draw(st.integers(1, 255))
        else:
            del raw[max(place, 1) :]  # cut to nothing, only an anchor would tell
        file.write_bytes(raw)
        assert not checked(Path(folder)).is_whole


async def test_anchors_are_kept_one_file_a_chain_and_tell_what_was_cut(tmp_path):
    lines = sealed(5)
    anchors = FileAnchors(tmp_path / "anchors")
    await anchors.put(lines[1].head, 1_795_000_000)
    await anchors.put(lines[4].head, 1_795_000_060)
    FileSink(tmp_path / "audit", "c").append(lines[:3])
    read = read_anchors(anchor_lines(tmp_path / "anchors"))
    assert [head.n for head in read["c"]] == [2, 5]
    (wrong,) = checked(tmp_path / "audit", read).wrong
    assert (wrong.kind, wrong.where) == ("cut off", "c.0001.jsonl, line 3")


async def test_an_anchor_that_cannot_be_put_is_said(tmp_path):
    (tmp_path / "anchors").write_text("")
    with pytest.raises(SinkFailed):
        await FileAnchors(tmp_path / "anchors").put(Head("c", 1, "h"), 0)
