"""Lines that hold together: each is sealed with a key and with the seal of the line before.

A line is a JSON object in ASCII without a space: ``n``, ``chain``, ``prev`` and ``at``, what it says, and in
the end its ``hash``: HMAC-SHA256(key, ``prev`` ‖ the object without ``hash``), in hex. ``prev`` is the hash
of the line before, and the ``n`` of a chain count from 1. A line is kept, and checked, to the byte: no two
texts are the same line. One chain is written by one process, from its start to its end.

Source: https://www.rfc-editor.org/rfc/rfc2104 (checked 2026-11-20).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic_core import to_json

from broker.edge.audit.entries import Fields

NOTHING = "0" * 64  # what the first line of a chain is sealed with
NUMBERED = b'{"n":%d,"chain":"%s","prev":"%s","at":"%s",'
HASH_FIELD = b',"hash":"%s"}'
HASH_FIELD_BYTES = len(HASH_FIELD) - len("%s") + 64


class BadLine(Exception):
    """Not a line that was sealed with this key."""


class Head(NamedTuple):
    """How far a chain is: its last line. With ``n`` 0 it has none yet."""

    chain: str
    n: int = 0
    hash: str = NOTHING


class Line(NamedTuple):
    """A sealed line, and how far the chain is with it. ``text`` has no line break."""

    head: Head
    text: bytes


class Opened(NamedTuple):
    """A line whose own seal holds."""

    head: Head
    prev: str


class Seal:
    """Seals lines, and tells those that it sealed. The key never leaves it."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def line(self, head: Head, at: bytes, fields: Fields) -> Line:
        """The line that comes after ``head``, with when that was."""
        prev = head.hash.encode()
        begin = NUMBERED % (head.n + 1, head.chain.encode(), prev, at)
        body = begin + to_json(fields, ensure_ascii=True)[1:]
        sealed = hmac.digest(self._key, prev + body, "sha256").hex()
        return Line(Head(head.chain, head.n + 1, sealed), body[:-1] + HASH_FIELD % sealed.encode())

    def open(self, text: bytes) -> Opened:
        """Which line of which chain it is. Raises `BadLine`."""
        body, field = text[:-HASH_FIELD_BYTES] + b"}", text[-HASH_FIELD_BYTES:]
        fields = _object(body)
        chain, n, prev = fields.get("chain"), fields.get("n"), fields.get("prev")
        if (
            not isinstance(chain, str)
            or type(n) is not int
            or not isinstance(prev, str)
            or not prev.isascii()
        ):
            raise BadLine("not a line of an audit")
        sealed = hmac.digest(self._key, prev.encode() + body, "sha256").hex()
        if not hmac.compare_digest(HASH_FIELD % sealed.encode(), field):
            raise BadLine("its seal is broken: changed, or sealed with another key")
        return Opened(Head(chain, n, sealed), prev)

    @property
    def key_name(self) -> str:
        """Which key it is, without telling it."""
        return hashlib.sha256(b"audit key " + self._key).hexdigest()[:16]


def moment(now_s: float) -> bytes:
    """When a line is written, as it stands in it (RFC 3339); from Unix seconds."""
    return datetime.fromtimestamp(now_s, UTC).isoformat(timespec="milliseconds").encode()


def new_chain(service: str, now_s: float) -> str:
    """An id that says whose chain it is and since when, and that sorts by that."""
    began = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{service}-{began}-{secrets.token_hex(6)}"


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadLine("not JSON") from exc
    if not isinstance(read, dict):
        raise BadLine("not a line of an audit")
    return read
