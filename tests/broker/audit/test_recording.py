"""Intents before, results after, and what becomes of those who wait when the place fails."""

from __future__ import annotations

import asyncio
import threading

import pytest

from broker.edge.audit import writer as audit_writer
from broker.edge.audit.entries import Action, Decision, Who, entry
from broker.edge.audit.port import AuditFailed
from broker.edge.audit.recording import DENIALS_AT_ONCE, Audit
from broker.edge.audit.sealing import NOTHING
from broker.edge.audit.writer import MOST_QUEUED
from tests.broker.audit.build import ALICE, MINT, ListSink, auditing
from tests.clocks import Clock


async def test_an_intent_is_kept_before_the_work_and_its_result_after_it():
    sink = ListSink()
    async with auditing(sink) as audit:
        async with audit.recorded(audit.begin(MINT)) as act:
            assert [line["decision"] for line in sink.fields()[1:]] == ["intent"]
            act.came_to(strategy="direct")
            act.also(Action.GRANT_ISSUE)
        start, intent, result, grant = sink.fields()

    assert start["action"] == "config.start"
    assert (start["n"], start["prev"]) == (1, NOTHING)
    assert [line["of"] for line in (result, grant)] == [intent["n"], intent["n"]]
    assert (result["decision"], result["strategy"], grant["action"]) == ("done", "direct", "grant.issue")
    assert intent["actor"] == "tid:alice"
    assert intent["at"] == "2026-11-18T11:06:40.000+00:00"


async def test_what_fails_is_on_record_as_failed_by_the_kind_of_its_error_alone():
    sink = ListSink()
    async with auditing(sink) as audit:
        with pytest.raises(LookupError):
            async with audit.recorded(audit.begin(MINT)):
                raise LookupError("canary")
    assert (sink.fields()[-1]["decision"], sink.fields()[-1]["reason"]) == ("failed", "LookupError")
    assert "canary" not in str(sink.fields())


async def test_work_that_is_cancelled_is_on_record_too():
    sink = ListSink()
    async with auditing(sink) as audit:

        async def work():
            async with audit.recorded(audit.begin(MINT)):
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        while not sink.groups:
            await asyncio.sleep(0)
        await audit.write()
        task.cancel()
        await asyncio.wait([task])
    assert sink.fields()[-1]["reason"] == "CancelledError"


async def test_nothing_is_done_when_the_intent_cannot_be_kept():
    async with auditing(ListSink("OSError ENOSPC")) as audit:
        with pytest.raises(AuditFailed, match="ENOSPC"):
            async with audit.recorded(audit.begin(MINT)):
                pytest.fail("done all the same")


async def test_nobody_is_told_of_a_result_that_cannot_be_kept():
    sink = ListSink()
    async with auditing(sink) as audit:
        with pytest.raises(AuditFailed):
            async with audit.recorded(audit.begin(MINT)):
                sink.faults = ["OSError EIO"]


async def test_it_goes_on_by_itself_and_the_chain_holds():
    sink = ListSink("OSError ENOSPC", "OSError ENOSPC")
    async with auditing(sink) as audit:
        for _ in range(2):
            with pytest.raises(AuditFailed):
                await audit.write(MINT)
        await audit.write(MINT)
    assert [line["n"] for line in sink.fields()] == [1, 2]
    assert sink.fields()[0]["action"] == "config.start"


async def test_who_writes_alone_never_waits_for_others():
    pauses: list[float] = []
    async with auditing(ListSink(), pause=pauses.append) as audit:
        for _ in range(5):
            await audit.write(MINT)
    assert pauses == []


async def test_after_a_crowd_the_next_group_waits_for_who_comes_in_that_moment():
    sink = ListSink()
    arrived, asked = threading.Event(), threading.Event()

    def pause(_seconds):
        asked.set()
        assert arrived.wait(10)

    async with auditing(sink, pause=pause) as audit:
        sink.free.clear()
        alone = asyncio.ensure_future(audit.write(MINT))
        await asyncio.to_thread(sink.reached.wait, 10)
        crowd = [asyncio.ensure_future(audit.write(MINT)) for _ in range(5)]
        await asyncio.sleep(0)
        sink.free.set()
        await asyncio.gather(alone, *crowd)
        late = asyncio.ensure_future(audit.write(MINT))
        await asyncio.to_thread(asked.wait, 10)
        later = asyncio.ensure_future(audit.write(MINT))
        await asyncio.sleep(0)
        arrived.set()
        await asyncio.gather(late, later)
    assert sink.groups == [2, 5, 2]  # the first with the line of the start
    assert [line["n"] for line in sink.fields()] == list(range(1, 10))


async def test_a_commit_that_nobody_heard_of_is_gone_on_from():
    sink = ListSink("OperationalError")
    sink.stored_all_the_same = True
    async with auditing(sink) as audit:
        with pytest.raises(AuditFailed):
            await audit.write(MINT)
        await audit.write(MINT)
    assert [line["n"] for line in sink.fields()] == [1, 2, 3]
    assert [line["prev"] for line in sink.fields()[1:]] == [line["hash"] for line in sink.fields()[:-1]]


async def test_many_who_wait_share_one_sync():
    sink = ListSink()
    sink.free.clear()
    async with auditing(sink) as audit:
        waiting = [asyncio.create_task(audit.write(MINT)) for _ in range(50)]
        await asyncio.to_thread(sink.reached.wait)
        sink.free.set()
        await asyncio.gather(*waiting)
    assert len(sink.groups) <= 3
    assert len(sink.lines) == 51


async def test_nobody_waits_for_a_place_that_hangs_and_what_they_gave_up_is_not_written():
    sink = ListSink()
    async with auditing(sink, write_s=0.02) as audit:
        await audit.write(MINT)
        sink.free.clear()
        for _ in range(3):
            with pytest.raises(AuditFailed, match="too long"):
                await audit.write(MINT)
    assert len(sink.lines) == 3  # the first, the one of before, and the one that was being written


async def test_a_queue_has_an_end(monkeypatch):
    monkeypatch.setattr(audit_writer, "WRITE_S", 60.0)  # filling it takes a busy machine longer than usual
    sink = ListSink()
    sink.free.clear()
    async with auditing(sink, write_s=60.0) as audit:
        waiting = [asyncio.create_task(audit.write(MINT))]
        await asyncio.sleep(0)
        await asyncio.to_thread(sink.reached.wait)  # the first line hangs, and all others behind it
        waiting += [asyncio.create_task(audit.write(MINT)) for _ in range(MOST_QUEUED)]
        await asyncio.sleep(0)
        with pytest.raises(AuditFailed, match="queued"):
            await audit.write(MINT)
        sink.free.set()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_line_that_cannot_be_written_down_harms_no_other():
    sink = ListSink()
    async with auditing(sink) as audit:
        with pytest.raises(AuditFailed):
            await audit.write(entry(Action.REPLAY, Who(actor="\ud800")))
        await audit.write(MINT)
    assert [line["action"] for line in sink.fields()] == ["config.start", "token.mint"]


async def test_after_the_end_nothing_is_taken():
    sink = ListSink()
    async with auditing(sink) as audit:
        await audit.write(MINT)
    with pytest.raises(AuditFailed, match="ended"):
        await audit.write(MINT)
    assert sink.closed


async def test_refusals_that_come_too_fast_are_counted_instead_of_written():
    clock, sink = Clock(), ListSink()
    async with auditing(sink, monotonic=clock) as audit:
        for _ in range(int(DENIALS_AT_ONCE) + 7):
            audit.deny(ALICE, "not-signed-in", "mint_token")
        clock.pass_s(1)
        audit.deny(ALICE, "not-allowed", "mint_token")
    denials = [line for line in sink.fields() if line["action"] == "authz.deny"]
    assert len(denials) == DENIALS_AT_ONCE + 1
    assert (denials[-1]["left_out"], denials[-1]["decision"]) == (7, Decision.DENIED)


async def test_where_no_audit_is_asked_for_everything_goes_on():
    audit = Audit()
    async with audit.recorded(audit.begin(MINT)) as act:
        act.came_to(strategy="direct")
    audit.deny(ALICE, "not-allowed", "mint_token")
    await audit.write(MINT)
