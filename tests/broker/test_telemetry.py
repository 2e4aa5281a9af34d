"""Logs: JSON lines of allowed fields, and never an exception's own words."""

from __future__ import annotations

import json
import logging
import string
import time
from datetime import UTC, datetime

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from broker.edge.scrubbing import scrubbed
from broker.edge.telemetry import configure_logging, trace_id_of


@pytest.fixture
def logged(capfd):
    """What ``act`` makes a service write, line by line."""

    def read(act):
        configure_logging("INFO")
        act()
        return [json.loads(line) for line in capfd.readouterr().err.splitlines()]

    return read


def test_a_field_that_is_not_allowed_is_dropped(logged):
    (line,) = logged(lambda: structlog.get_logger().info("turns.accepted", accepted=2, text="canary"))
    assert (line["event"], line["level"], line["accepted"]) == ("turns.accepted", "info", 2)
    assert "text" not in line


def test_the_trace_is_on_every_line_of_a_request(logged):
    with structlog.contextvars.bound_contextvars(trace_id="t-1"):
        (line,) = logged(lambda: structlog.get_logger().info("token.minted"))
    assert line["trace_id"] == "t-1"


def stumble():
    try:
        {}["canary"]
    except KeyError:
        logging.getLogger("a.library").exception("Exception in ASGI application")


def test_a_library_s_traceback_is_frames_and_a_class_and_none_of_its_words(logged):
    (line,) = logged(stumble)
    assert (line["event"], line["error"]) == ("a.library: error", "KeyError")
    assert line["frames"][0].endswith("stumble")
    assert "canary" not in json.dumps(line)


def test_a_library_s_message_is_its_template_without_what_was_filled_in(logged):
    (line,) = logged(lambda: logging.getLogger("a.library").info("%s accepted", "canary"))
    assert line["event"] == "a.library: %s accepted"


def test_a_library_s_error_is_only_who_logged_it(logged):
    (line,) = logged(lambda: logging.getLogger("asyncio").error("Task exception: ValueError('canary')"))
    assert line["event"] == "asyncio: error"
    assert "canary" not in json.dumps(line)


def test_of_a_group_of_errors_the_first_is_told(logged):
    group = ExceptionGroup("delivery", [ExceptionGroup("inner", [KeyError("canary")])])
    (line,) = logged(lambda: structlog.get_logger().error("delivery.died", exc_info=group))
    assert line["error"] == "KeyError"


def test_what_prints_requests_is_kept_quiet(logged):
    assert logged(lambda: logging.getLogger("httpx").info("HTTP Request: POST https://canary")) == []


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00-short-x-01",
        f"00-{'0' * 32}-{'1' * 16}-01",
        f"01-{'a' * 32}-{'1' * 16}-01",
        "\u00e9" * 55,
    ],
)
def test_a_trace_that_is_none_gets_a_new_one(header):
    assert len(trace_id_of(header)) == 32
    assert trace_id_of(header) != trace_id_of(header)


def test_the_browser_s_trace_is_kept():
    assert trace_id_of(f"00-{'a' * 32}-{'1' * 16}-01") == "a" * 32


# The last look: what gets into a field that is allowed.

HEX = "0123456789abcdefABCDEF"
ALNUM = string.ascii_letters + string.digits
PART = st.text(ALNUM + "-_", min_size=6, max_size=40)
SECRETS = st.one_of(
    st.tuples(PART, PART, PART).map(lambda parts: f"eyJ{parts[0]}.{parts[1]}.{parts[2]}"),
    st.text(ALNUM, min_size=6, max_size=40).map(lambda rest: f"ek_{rest}"),
    st.text(HEX, min_size=32, max_size=32),
    st.text(ALNUM, min_size=84, max_size=84),
    st.tuples(
        st.text(ALNUM + "._+-", min_size=1, max_size=12), st.sampled_from(["example.org", "a.b.co"])
    ).map("@".join),
    st.sampled_from(
        ["+49 171 2345678", "(555) 123-4567", "+1.555.123.4567", "030 1234567", "004917123456789"]
    ),
    st.sampled_from(["4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005"]),
)
# What people and programs write next to it; what would make it part of a longer word is none of these.
AROUND = st.text(st.sampled_from(" \t\n\"'\\/=:,;<>[]{}|\u00e9\u4e2d\u2028"), max_size=4)
WORDS = st.text(st.sampled_from(string.ascii_lowercase + ' \n"\\{}:,.\u00e9/'), max_size=30)


@given(SECRETS, AROUND, AROUND, WORDS, WORDS)
def test_no_secret_survives_in_a_finished_line(secret, before, after, ahead, behind):
    line = json.dumps({"event": "x", "reason": f"{ahead} {before}{secret}{after} {behind}", "ms": 3})
    finished = scrubbed(None, "", line)
    assert secret not in finished
    assert "[redacted]" in json.loads(finished)["reason"]
    assert (json.loads(finished)["event"], json.loads(finished)["ms"]) == ("x", 3)


ORDINARY = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["token.minted", "turns.accepted", "outbox.unwritable", "limits.alone"]),
        "trace_id": st.text("0123456789abcdef", min_size=32, max_size=32),
        "client_trace_id": st.text("0123456789abcdef", min_size=32, max_size=32),
        "session_id": st.uuids().map(str),
        "turn_id": st.text(string.ascii_letters, min_size=21, max_size=21).map(lambda rest: f"item_{rest}"),
        "timestamp": st.integers(1_600_000_000_000_000, 4_000_000_000_000_000).map(
            lambda us: datetime.fromtimestamp(us / 1e6, UTC).isoformat().replace("+00:00", "Z")
        ),
        "frames": st.lists(
            st.tuples(
                st.sampled_from(["/srv/seek_123456789/app.py", f"/tmp/{'a1' * 20}/[x].py"]),
                st.integers(1, 999),
            ).map(lambda at: f'{at[0]}:{at[1]} peek_abcdef "<locals>"')
        ),
        "path": st.sampled_from(
            ["/memory/enrich", "/api/v1/voice/realtime/token", "/week_ends", "/realtime/seek_it"]
        ),
        "reason": st.sampled_from(
            ["UndefinedTable 42P01", "no answer \u2013 within 2.5 s", "row 2025-10-01 of 12345678"]
        ),
        "delay_s": st.floats(0, 1e6),
        "attempts": st.lists(
            st.fixed_dictionaries({"row": st.just("sweden direct ga key 2"), "ms": st.integers(0, 9999)})
        ),
        "accepted": st.integers(0, 30),
    }
)


@given(ORDINARY)
def test_an_ordinary_line_is_left_as_it_is(entry):
    line = json.dumps(entry)
    assert scrubbed(None, "", line) == line


def test_what_a_log_call_puts_into_an_allowed_field_is_looked_at(logged):
    (ours, a_library_s) = logged(
        lambda: (
            structlog.get_logger().info("turn.parked", reason="ek_canary said by bob@example.org"),
            logging.getLogger("a.library").warning("Bearer eyJhbGciOiJFZERTQSJ9.canary.canary"),
        )
    )
    assert ours["reason"] == "[redacted] said by [redacted]"
    assert a_library_s["event"] == "a.library: Bearer [redacted]"


def test_a_key_does_not_pass_as_a_trace(logged):
    (line,) = logged(
        lambda: structlog.get_logger().info("x", reason=f'"trace_id": "{"a" * 32}"', trace_id="b" * 32)
    )
    assert line["reason"] == '"trace_id": "[redacted]"'
    assert line["trace_id"] == "b" * 32


@pytest.mark.parametrize("text", ["a.", "1 ", "(1", "a@a.", "eyJ", "\\", "x", "0f", "2026-11-20 "])
def test_no_text_makes_the_last_look_slow(text):
    line = json.dumps({"path": text * 32_000})
    began = time.process_time()
    scrubbed(None, "", line)
    assert time.process_time() - began < 1.0
