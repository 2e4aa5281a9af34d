"""The last look at a finished log line: what is shaped like a secret or like a person's data goes.

Defence in depth. What keeps such things out is the allow-list of fields in `telemetry`; this is for the day
when somebody puts one into a field that is allowed.
"""

from __future__ import annotations

import re
from typing import Any

REDACTED = "[redacted]"

# After these a word begins. A JSON escape ends in a letter or a digit that is none of the text's.
BEGINS = r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9a-f]{4}))"
DATE = r"20\d\d-(?:0[1-9]|1[0-2])-(?:[0-2]\d|3[01])"
TIME = r"[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-6]\d(?:\.\d{1,6})?)?(?:Z|[+-][01]\d:?\d\d)?"
UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
NUMBER = r"-?\d{1,8}(?:\.\d+)?(?:e-?\d+)?(?=[,}])"
# A field whose value is plain words, an id, a time, a number, or a trace under its name; most lines are
# nothing but these. A quotation mark is never part of a value: there it has a backslash.
VALUE = rf'(?:"(?:[a-z. ]{{0,30}}|{UUID}|{DATE}(?:{TIME})?)"|{NUMBER})'
FIELD = rf'"(?:(?:client_)?trace_id": "[0-9a-f]{{32}}"|[a-z_]{{1,30}}": {VALUE})'
# Taken first, so that nothing looks into them: such fields, where an error happened, the names of the other
# fields, escapes (half of one would be no JSON), and times and ids in a text.
KEPT = (
    rf"(?:{FIELD}(?:, )?)+",
    r'"frames": \[(?:"(?:[^"\\]|\\.)*"(?:, )?)*\]',
    r'"[a-z_]{1,30}": ',
    r"\\(?:u[0-9a-f]{4}|.)",
    rf"(?<!\d){DATE}(?:{TIME})?(?!\d)",
    rf"(?<![0-9A-Za-z]){UUID}(?![0-9A-Za-z])",
)
# Azure's keys are 32 hexadecimal digits, newer ones 84 letters and digits; both may be longer here. Nine
# digits, however they are grouped, are a phone number or a card.
SECRET = (
    r"eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]+)*",
    rf"{BEGINS}ek_[A-Za-z0-9_-]+",
    r"[0-9a-fA-F]{32,}",
    r"[A-Za-z0-9]{64,}",
    r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
    r"\+?\(?\d(?:[ ().-]{0,3}\d){8,}",
)
SHAPES = re.compile(f"(?P<kept>{'|'.join(KEPT)})|{'|'.join(SECRET)}")


def scrubbed(_logger: Any, _method: str, line: Any) -> str:
    """A rendered line without what looks like a token, a key, an e-mail address, a phone or card number."""
    return SHAPES.sub(_replaced, line)


def _replaced(found: re.Match[str]) -> str:
    return found[0] if found["kept"] else REDACTED
