"""What a JWT says before anybody has proved it: enough to choose how to prove it, and for nothing else.

PyJWT would decode all three parts for it, and then again to prove them.
"""

from __future__ import annotations

import base64
from typing import Any

from pydantic_core import from_json


def unproved_header(compact: str) -> dict[str, Any]:
    """Raises ValueError for what is no JWT in compact form, https://www.rfc-editor.org/rfc/rfc7515
    (checked 2026-11-20)."""
    return _unproved(compact, 0)


def unproved_claims(compact: str) -> dict[str, Any]:
    """Raises ValueError like `unproved_header`."""
    return _unproved(compact, 1)


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _unproved(compact: str, part: int) -> dict[str, Any]:
    parts = compact.split(".")
    if len(parts) != 3:
        raise ValueError("not three parts")
    content = from_json(from_base64url(parts[part]), allow_inf_nan=False)
    if not isinstance(content, dict):
        raise ValueError("not an object")  # noqa: TRY004 - what came is bad input, whatever it is
    return content
