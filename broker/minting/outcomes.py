"""What asking for a token can lead to: a token, or one of a handful of words for why not.

The table below is the whole policy of what a failure means. Its rows are Azure's, as documented or seen:
https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-webrtc (checked 2026-11-20).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """Why a row gave no token. The comment says whom the failure is about."""

    TRANSIENT = "transient"  # nobody: the same row may work in a moment
    TIMEOUT = "timeout"  # the row was too slow for one attempt
    THROTTLED = "throttled"  # the domain: its quota is spent
    CREDENTIAL = "credential"  # the credential: refused
    NO_SUCH_ROUTE = "no such route"  # the row: this host has no such surface
    NO_SUCH_DEPLOYMENT = "no such deployment"  # the domain: the deployment name is wrong there
    SESSION_REFUSED = "session refused"  # us: the session we asked for is wrong
    BAD_ANSWER = "bad answer"  # the row: answered with something that is not a token
    UNKNOWN = "unknown"  # a status nobody has described


@dataclass(frozen=True, slots=True)
class EphemeralToken:
    """What Azure minted. ``value`` opens a call and is neither logged nor stored; it is not in the repr.

    ``expires_at`` is in Unix seconds. ``calls_url`` is on the host that minted: the token works nowhere else.
    """

    value: str = field(repr=False)
    expires_at: int
    endpoint: str
    calls_url: str
    model: str
    strategy: str


class MintFailed(Exception):
    """One row, asked once, gave no token. Says why in our words; the upstream's text stays out of it."""

    def __init__(
        self,
        verdict: Verdict,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{verdict}" + (f" (HTTP {status})" if status else ""))
        self.verdict = verdict
        self.status = status
        self.retry_after_s = retry_after_s
        self.request_id = request_id


STATUS_VERDICTS = {
    400: Verdict.SESSION_REFUSED,
    401: Verdict.CREDENTIAL,
    403: Verdict.CREDENTIAL,
    404: Verdict.NO_SUCH_ROUTE,
    405: Verdict.NO_SUCH_ROUTE,
    408: Verdict.TRANSIENT,
    409: Verdict.TRANSIENT,
    410: Verdict.NO_SUCH_ROUTE,
    422: Verdict.SESSION_REFUSED,
    425: Verdict.TRANSIENT,
    429: Verdict.THROTTLED,
}
CODE_VERDICTS = {"DeploymentNotFound": Verdict.NO_SUCH_DEPLOYMENT}


def verdict_of(status: int, code: str | None) -> Verdict:
    """What an HTTP answer that is no token means. ``code`` is Azure's ``error.code`` where there is one."""
    if code in CODE_VERDICTS:
        return CODE_VERDICTS[code]
    if status >= 500:
        return Verdict.TRANSIENT
    if 300 <= status < 400:  # never followed: a redirect would carry our credential elsewhere
        return Verdict.NO_SUCH_ROUTE
    return STATUS_VERDICTS.get(status, Verdict.UNKNOWN)
