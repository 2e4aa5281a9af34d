"""What asking for a token can lead to: a token, or one word for why not, and what that word means.

Two tables hold the whole policy of failure. The first reads Azure's answer, as documented or seen:
https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-webrtc (checked 2026-11-20). The second
says what the chain does about it and for how long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any


class Verdict(StrEnum):
    """Why a row gave no token."""

    TRANSIENT = "transient"  # an upstream error that passes
    TIMEOUT = "timeout"  # no answer within one attempt
    UNREACHABLE = "unreachable"  # no connection: refused, reset, no such host
    INSECURE = "insecure"  # the certificate does not hold; never overridden
    THROTTLED = "throttled"  # the domain's quota is spent
    CREDENTIAL = "credential refused"  # 401
    WRONG_AUDIENCE = "wrong audience"  # 401: the access token was made for another scope
    FORBIDDEN = "forbidden"  # 403: keys switched off, firewall, region
    NO_SUCH_ROUTE = "no such route"  # this host has no such surface
    REDIRECT = "redirect"  # never followed: it would carry our credential elsewhere
    NO_SUCH_DEPLOYMENT = "no such deployment"  # the deployment's name is wrong in this domain
    WRONG_DIALECT = "wrong dialect"  # the surface speaks another body
    REFUSED_PART = "optional part refused"  # the surface does not know a part that we can do without
    SESSION_REFUSED = "session refused"  # the session that we asked for is wrong
    BAD_ANSWER = "bad answer"  # a success that is no token
    NOT_READY = "credential not ready"  # the access token is not there yet; nothing was asked
    UNKNOWN = "unknown"  # a status that nobody has described


class Scope(Enum):
    """What a failure condemns: which rows are not asked for a while."""

    NOTHING = "nothing"
    ROW = "the row"
    CREDENTIAL = "the credential in that domain"
    DOMAIN = "the domain"


class Part(StrEnum):
    """Parts of the body that a token can be minted without; the value is the path Azure names it by."""

    EXPIRY = "expires_after"
    NOISE_REDUCTION = "session.audio.input.noise_reduction"
    TRANSCRIPTION = "session.audio.input.transcription"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the chain does about a verdict.

    ``hold_s`` is how long the scope is left alone the first time; it doubles with every further time, up to
    ``longest_s``. No hold: the row's breaker counts it instead, if ``breaks``. ``elsewhere``: the next row
    asked is rather one of another domain.
    """

    scope: Scope = Scope.ROW
    hold_s: float | None = None
    longest_s: float = 3600.0
    breaks: bool = False
    elsewhere: bool = False


MEANINGS: Mapping[Verdict, Meaning] = {
    Verdict.TRANSIENT: Meaning(breaks=True, elsewhere=True),
    Verdict.TIMEOUT: Meaning(breaks=True, elsewhere=True),
    Verdict.UNREACHABLE: Meaning(breaks=True, elsewhere=True),
    Verdict.INSECURE: Meaning(Scope.DOMAIN, hold_s=60, elsewhere=True),
    Verdict.THROTTLED: Meaning(Scope.DOMAIN, hold_s=5, longest_s=60, elsewhere=True),
    Verdict.CREDENTIAL: Meaning(Scope.CREDENTIAL, hold_s=20, longest_s=60),
    Verdict.WRONG_AUDIENCE: Meaning(Scope.CREDENTIAL, hold_s=5, longest_s=60),
    Verdict.FORBIDDEN: Meaning(Scope.CREDENTIAL, hold_s=60, longest_s=60),
    Verdict.NO_SUCH_ROUTE: Meaning(Scope.ROW, hold_s=30),
    Verdict.REDIRECT: Meaning(Scope.ROW, hold_s=30),
    Verdict.NO_SUCH_DEPLOYMENT: Meaning(Scope.DOMAIN, hold_s=300, elsewhere=True),
    Verdict.WRONG_DIALECT: Meaning(Scope.ROW, hold_s=300),
    Verdict.REFUSED_PART: Meaning(Scope.NOTHING),
    Verdict.SESSION_REFUSED: Meaning(Scope.NOTHING),
    Verdict.BAD_ANSWER: Meaning(breaks=True),
    Verdict.NOT_READY: Meaning(Scope.CREDENTIAL, hold_s=1, longest_s=5),
    Verdict.UNKNOWN: Meaning(breaks=True),
}

# Nobody but an operator can mend these.
MISCONFIGURED = frozenset(
    [
        Verdict.CREDENTIAL,
        Verdict.FORBIDDEN,
        Verdict.INSECURE,
        Verdict.NO_SUCH_DEPLOYMENT,
        Verdict.NO_SUCH_ROUTE,
        Verdict.REDIRECT,
        Verdict.SESSION_REFUSED,
        Verdict.UNKNOWN,
        Verdict.WRONG_AUDIENCE,
        Verdict.WRONG_DIALECT,
    ]
)


@dataclass(frozen=True, slots=True)
class EphemeralToken:
    """What Azure minted. ``value`` opens a call and is neither logged nor stored; it is not in the repr.

    ``expires_at`` is in Unix seconds. ``calls_url`` is on the host that minted: the token works nowhere else.
    ``session_update`` is what the browser must send after connecting, because Azure refused it in the mint.
    """

    value: str = field(repr=False)
    expires_at: int
    endpoint: str
    calls_url: str
    model: str
    strategy: str
    session_update: Mapping[str, Any] | None = None


class MintFailed(Exception):
    """One row, asked once, gave no token. Says why in our words; the upstream's text stays out of it."""

    def __init__(
        self,
        verdict: Verdict,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
        part: Part | None = None,
    ) -> None:
        super().__init__(f"{verdict}" + (f" (HTTP {status})" if status else ""))
        self.verdict = verdict
        self.status = status
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.part = part


STATUS_VERDICTS = {
    400: Verdict.SESSION_REFUSED,
    401: Verdict.CREDENTIAL,
    403: Verdict.FORBIDDEN,
    404: Verdict.NO_SUCH_ROUTE,
    405: Verdict.NO_SUCH_ROUTE,
    408: Verdict.TRANSIENT,
    409: Verdict.TRANSIENT,
    410: Verdict.NO_SUCH_ROUTE,
    422: Verdict.SESSION_REFUSED,
    425: Verdict.TRANSIENT,
    429: Verdict.THROTTLED,
}
CODE_VERDICTS = {
    (400, "InvalidSessionType"): Verdict.WRONG_DIALECT,  # a flat body reached the GA surface
    (400, "unknown_parameter"): Verdict.WRONG_DIALECT,  # a GA body reached an older surface
    (400, "BadRequest"): Verdict.WRONG_DIALECT,  # "api-version … is not allowed when using /v1 path"
    (404, "DeploymentNotFound"): Verdict.NO_SUCH_DEPLOYMENT,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Azure's own words for an answer that is no token; read for their meaning and never passed on."""

    status: int
    code: str = ""
    param: str = ""
    message: str = ""


def read_refusal(refusal: Refusal) -> tuple[Verdict, Part | None]:
    """What an HTTP answer that is no token means, and which optional part it is about, if one."""
    status = refusal.status
    if status in {400, 422} and (part := _optional(refusal.param)) is not None:
        return Verdict.REFUSED_PART, part
    if status == 401 and "audience" in refusal.message.lower():
        return Verdict.WRONG_AUDIENCE, None
    if (known := CODE_VERDICTS.get((status, refusal.code))) is not None:
        return known, None
    if status >= 500:
        return Verdict.TRANSIENT, None
    if 300 <= status < 400:
        return Verdict.REDIRECT, None
    return STATUS_VERDICTS.get(status, Verdict.UNKNOWN), None


def _optional(param: str) -> Part | None:
    return next((part for part in Part if param == part or param.startswith(f"{part}.")), None)
