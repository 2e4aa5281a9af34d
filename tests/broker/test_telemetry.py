"""Logs: JSON lines of allowed fields, and never an exception's own words."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

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
