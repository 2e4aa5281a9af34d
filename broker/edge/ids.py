"""Ids that come from outside or are made here, by one grammar."""

from __future__ import annotations

import os
import time
import uuid
from typing import Annotated

from pydantic import StringConstraints

# No slash, no percent, no dot at the start: an id can stand in any path, log or SDK call as it is.
SESSION_ID = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"
GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # as Entra writes its own, in lower case
SessionId = Annotated[str, StringConstraints(pattern=SESSION_ID)]
AgentId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


def new_session_id() -> str:
    """A UUID of version 7 (RFC 9562), so that ids sort by time; Python makes them itself from 3.14 on."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | (7 << 76) | int.from_bytes(os.urandom(10)) & ~(0xF << 76)
    return str(uuid.UUID(int=value & ~(0xC << 60) | (0x8 << 60)))
