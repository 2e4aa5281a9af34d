"""One row, asked once: a session in, a token or `MintFailed` out. Upstream outcomes are translated here."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx

from broker.minting.outcomes import EphemeralToken, MintFailed, Verdict, verdict_of
from broker.minting.strategies import Row
from broker.session import SessionSpec

ANSWER_BYTES = 64 * 1024
SHORTEST_LIFE_S = 10.0  # a token that ends sooner is spent before the browser has made its offer
LONGEST_WAIT_S = 60.0
REQUEST_ID_HEADERS = ("apim-request-id", "x-request-id", "x-ms-request-id")


class Ask(Protocol):
    """How the chain asks a row."""

    async def __call__(self, row: Row, spec: SessionSpec) -> EphemeralToken: ...


class Asking:
    """Asks rows over one shared HTTP client, which the lifespan opens."""

    def __init__(
        self, http: httpx.AsyncClient, *, filtered: bool, now: Callable[[], float] = time.time
    ) -> None:
        self._http = http
        self._filtered = filtered
        self._now = now

    async def __call__(self, row: Row, spec: SessionSpec) -> EphemeralToken:
        """Raises `MintFailed`; anything else is a bug and must surface."""
        response, body = await self._post(row, row.dialect.body(spec, row.domain.model))
        if not response.is_success:
            raise _failure(response, body, self._now())
        value, expires_at = self._minted(response, body)
        return EphemeralToken(
            value=value,
            expires_at=expires_at,
            endpoint=row.strategy.base(row.domain),
            calls_url=row.calls_url(filtered=self._filtered),
            model=row.domain.model,
            strategy=row.strategy.name,
        )

    async def _post(self, row: Row, body: dict[str, Any]) -> tuple[httpx.Response, bytes]:
        try:
            async with self._http.stream(
                "POST", row.mint_url, json=body, headers=row.credential.headers()
            ) as response:
                return response, await _read_capped(response)
        except httpx.TimeoutException as exc:
            raise MintFailed(Verdict.TIMEOUT) from exc
        except httpx.TransportError as exc:
            raise MintFailed(Verdict.TRANSIENT) from exc

    def _minted(self, response: httpx.Response, body: bytes) -> tuple[str, int]:
        failed = MintFailed(Verdict.BAD_ANSWER, status=response.status_code, request_id=_request_id(response))
        answer = _json_object(body)
        value, expires_at = answer.get("value"), unix_seconds(answer.get("expires_at"))
        if not isinstance(value, str) or not value or expires_at is None:
            raise failed
        if expires_at <= _their_now(response, self._now()) + SHORTEST_LIFE_S:
            raise failed
        return value, expires_at


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


def retry_after_s(headers: httpx.Headers, now_s: float) -> float | None:
    """How long the upstream asks us to wait, clamped to 0-60 s; None when it says nothing or nonsense."""
    wait = _seconds(headers.get("retry-after-ms"), 0.001)
    if wait is None:
        wait = _seconds(headers.get("retry-after"), 1.0)
    if wait is None and (date := _http_date(headers.get("retry-after"))) is not None:
        wait = date - now_s
    return None if wait is None else min(max(wait, 0.0), LONGEST_WAIT_S)


async def _read_capped(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise MintFailed(Verdict.BAD_ANSWER, status=response.status_code)
    return bytes(body)


def _failure(response: httpx.Response, body: bytes, now_s: float) -> MintFailed:
    error = _json_object(body).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return MintFailed(
        verdict_of(response.status_code, code if isinstance(code, str) else None),
        status=response.status_code,
        retry_after_s=retry_after_s(response.headers, now_s),
        request_id=_request_id(response),
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _request_id(response: httpx.Response) -> str | None:
    ids = (response.headers.get(name) for name in REQUEST_ID_HEADERS)
    return next((request_id[:64] for request_id in ids if request_id), None)


def _their_now(response: httpx.Response, now_s: float) -> float:
    """The time on Azure's clock: ``expires_at`` is on it, and ours may be minutes off."""
    date = _http_date(response.headers.get("date"))
    return now_s if date is None else date


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
