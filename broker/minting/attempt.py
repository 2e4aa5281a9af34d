"""One row, asked once: a session in, a token or `MintFailed` out. Upstream outcomes are translated here."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Protocol

from pydantic_core import from_json, to_json

from broker.edge.ids import GUID
from broker.edge.telemetry import bound_trace_id
from broker.edge.tracing import note
from broker.minting.outcomes import EphemeralToken, MintFailed, Part, Refusal, Verdict, read_refusal
from broker.minting.strategies import Row
from broker.session import SessionSpec
from broker.upstream import Answer, AnswerTooLarge, Insecure, NoAnswer, TooLate, Upstream

LONGEST_LIFE_S = 86_400.0  # Azure allows two hours
SHORTEST_LIFE_S = 10.0  # a token that ends sooner is spent before the browser has made its offer
LONGEST_WAIT_S = 60.0
REQUEST_ID = re.compile(GUID, re.IGNORECASE)
REQUEST_ID_HEADERS = ("apim-request-id", "x-request-id", "x-ms-request-id")


class Ask(Protocol):
    """How the chain asks a row."""

    async def __call__(self, row: Row, spec: SessionSpec, omitted: frozenset[Part]) -> EphemeralToken: ...


class Asking:
    """Asks rows of one upstream. ``now`` gives Unix seconds."""

    def __init__(self, upstream: Upstream, *, filtered: bool, now: Callable[[], float] = time.time) -> None:
        self._upstream = upstream
        self._filtered = filtered
        self._now = now

    async def __call__(self, row: Row, spec: SessionSpec, omitted: frozenset[Part]) -> EphemeralToken:
        """Raises `MintFailed`; anything else is a bug and must surface."""
        answer = await self._post(row, row.dialect.body(spec, row.domain.model, omitted))
        _note(answer)
        if not answer.is_success:
            raise _failure(answer, self._now())
        value, expires_at = self._minted(answer)
        return EphemeralToken(
            value=value,
            expires_at=expires_at,
            endpoint=row.endpoint,
            calls_url=row.calls_url(filtered=self._filtered),
            model=row.domain.model,
            strategy=row.strategy.label,
            session_update=row.dialect.session_update(spec, omitted),
        )

    async def _post(self, row: Row, body: dict[str, Any]) -> Answer:
        headers = {"Content-Type": "application/json", **_our_request_id(), **row.headers()}
        try:
            return await self._upstream.ask("POST", row.mint_url, headers, to_json(body))
        except TooLate as exc:
            raise MintFailed(Verdict.TIMEOUT) from exc
        except Insecure as exc:
            raise MintFailed(Verdict.INSECURE) from exc
        except AnswerTooLarge as exc:
            raise MintFailed(Verdict.BAD_ANSWER) from exc
        except NoAnswer as exc:
            raise MintFailed(Verdict.UNREACHABLE) from exc

    def _minted(self, answer: Answer) -> tuple[str, int]:
        minted = _json_object(answer.body)
        value, expires_at = minted.get("value"), unix_seconds(minted.get("expires_at"))
        now = _their_now(answer, self._now())
        if (
            _is_token(value)
            and expires_at is not None
            and SHORTEST_LIFE_S < expires_at - now < LONGEST_LIFE_S
        ):
            return str(value), expires_at
        raise MintFailed(Verdict.BAD_ANSWER, status=answer.status, request_id=_request_id(answer))


def _our_request_id() -> dict[str, str]:
    """What Azure logs as the client's id of a request, so that their support finds it by our trace id.

    https://learn.microsoft.com/rest/api/azureopenai (checked 2026-11-20).
    """
    trace_id = bound_trace_id()
    return {"x-ms-client-request-id": trace_id} if trace_id else {}


def _note(answer: Answer) -> None:
    request_id = _request_id(answer)
    told = {"azure.request_id": request_id} if request_id else {}
    note({"http.response.status_code": answer.status, **told})


def _is_token(value: object) -> bool:
    """Whether a browser can send it in a header."""
    return isinstance(value, str) and value != "" and value.isascii() and value.isprintable()


def unix_seconds(value: object) -> int | None:
    """Azure sends an int; older answers and gateways an ISO string or digits. None when it is no time."""
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, (int, float)):
            return int(value)
        text = str(value)
        return int(text) if text.isdecimal() else int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        return None


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """How long the upstream asks us to wait, clamped to 0-60 s; None when it says nothing or nonsense."""
    wait = _seconds(headers.get("retry-after-ms"), 0.001)
    if wait is None:
        wait = _seconds(headers.get("retry-after"), 1.0)
    if wait is None and (date := _http_date(headers.get("retry-after"))) is not None:
        wait = date - now_s
    return None if wait is None else min(max(wait, 0.0), LONGEST_WAIT_S)


def _failure(answer: Answer, now_s: float) -> MintFailed:
    error = _json_object(answer.body).get("error")
    said = error if isinstance(error, dict) else {}
    code, param, message = (str(said.get(name) or "") for name in ("code", "param", "message"))
    verdict, part = read_refusal(Refusal(answer.status, code, param, message))
    return MintFailed(
        verdict,
        status=answer.status,
        retry_after_s=retry_after_s(answer.headers, now_s),
        request_id=_request_id(answer),
        part=part,
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        answer = from_json(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _request_id(answer: Answer) -> str | None:
    """It goes into our log and spans: what has another form could be anything, our key included."""
    ids = (answer.headers.get(name, "") for name in REQUEST_ID_HEADERS)
    return next((request_id for request_id in ids if REQUEST_ID.fullmatch(request_id)), None)


def _their_now(answer: Answer, now_s: float) -> float:
    """The time on Azure's clock: ``expires_at`` is on it, and ours may be minutes off."""
    date = _http_date(answer.headers.get("date"))
    return now_s if date is None else date


@lru_cache(maxsize=16)  # the same second comes with every answer of that second
def _http_date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None


def _seconds(text: str | None, unit_s: float) -> float | None:
    try:
        value = float(text) * unit_s if text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
