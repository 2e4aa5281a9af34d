"""The configured identity, listened to: why there is no access token is what an operator needs to know."""

from __future__ import annotations

import asyncio
import re

from azure.core.exceptions import AzureError

from broker.minting.credentials import TOKEN_S, AccessToken, TokenSource

FIRST_TOKEN_S = TOKEN_S + 1.0
ENTRA_CODE = re.compile(r"AADSTS\d{4,8}")


class Overheard:
    """A token source that remembers in a word why it gave no token; never what it gave."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._answers = asyncio.Semaphore(0)
        self.fault = ""

    async def get_token(self, *scopes: str) -> AccessToken:
        from azure.identity import CredentialUnavailableError  # noqa: PLC0415 - see broker.wiring

        self.fault = "silent"  # what it stays when the caller's patience ends
        try:
            token = await self._source.get_token(*scopes)
        except CredentialUnavailableError:
            self.fault = "absent"
            raise
        except AzureError as exc:
            found = ENTRA_CODE.search(str(exc))
            self.fault = found[0] if found else "refused"
            raise
        else:
            self.fault = ""
            return token
        finally:
            self._answers.release()

    async def answer(self) -> None:
        """Returns when the identity has answered, either way, once more than was waited for before."""
        try:
            async with asyncio.timeout(FIRST_TOKEN_S):
                await self._answers.acquire()
        except TimeoutError:
            return
