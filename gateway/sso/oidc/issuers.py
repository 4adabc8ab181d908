"""What is known of each issuer: its metadata and its keys.

Metadata is kept for an hour. People who need it at the same time share one reading, and a failure is remembered for ten
seconds. Tenants with the same issuer share all of it: nothing here is a tenant's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.model.clock import Clock
from gateway.model.memo import Memo
from gateway.sso.oidc.addresses import origin_of
from gateway.sso.oidc.compact import key_id_of
from gateway.sso.oidc.discovery import metadata_url, read_metadata
from gateway.sso.oidc.fetching import Fetched, Fetcher
from gateway.sso.oidc.gate import PAUSE_SECONDS, Gate
from gateway.sso.oidc.keys import Key, KeyRing
from gateway.sso.oidc.record import Metadata, Refused

KEPT_SECONDS = 3_600
MAX_ISSUERS = 1_000


@dataclass(frozen=True, slots=True)
class KnownIssuer:
    """What was read of an issuer."""

    metadata: Metadata
    keys: KeyRing

    async def find_keys(self, token: str) -> Sequence[Key] | Refused:
        """Return the keys that a token can be signed with, by the key id that it names."""
        key_id = key_id_of(token)
        return key_id if isinstance(key_id, Refused) else await self.keys.find(key_id)


class Issuer:
    """`allows_private` permits providers in private networks (see Fetcher)."""

    def __init__(self, issuer: str, fetcher: Fetcher, clock: Clock, *, allows_private: bool) -> None:
        self._issuer = issuer
        self._fetcher = fetcher
        self._clock = clock
        self._allows_private = allows_private
        self._gate = Gate(clock)
        self._found: KnownIssuer | Refused | None = None
        self._good_until = 0
        self._reading: asyncio.Task[KnownIssuer | Refused] | None = None

    async def find(self) -> KnownIssuer | Refused:
        """Return the metadata and the keys. A reading goes on if a caller is cancelled."""
        if self._found is not None and self._clock() < self._good_until:
            return self._found
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._end)
        return await asyncio.shield(self._reading)

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Fetched | Refused:
        """Post a form to one of the addresses in the metadata."""
        known = await self.find()
        if isinstance(known, Refused):
            return known
        origins = known.metadata.origins
        return await self._gate.fetch(lambda: self._fetcher.post(url, origins, form, headers))

    def _end(self, task: asyncio.Task[KnownIssuer | Refused]) -> None:
        self._reading = None

    async def _read(self) -> KnownIssuer | Refused:
        self._found = await self._fetch()
        kept = PAUSE_SECONDS if isinstance(self._found, Refused) else KEPT_SECONDS
        self._good_until = self._clock() + kept
        return self._found

    async def _fetch(self) -> KnownIssuer | Refused:
        url = metadata_url(self._issuer)
        answer = await self._gate.fetch(lambda: self._fetcher.get(url, frozenset((origin_of(url),))))
        if isinstance(answer, Refused):
            return answer
        metadata = read_metadata(answer.body, self._issuer, allows_http=self._allows_private)
        if isinstance(metadata, Refused):
            return metadata
        fetch = self._fetcher.get
        keys = KeyRing(lambda: self._gate.fetch(lambda: fetch(metadata.jwks_uri, metadata.origins)), self._clock)
        return KnownIssuer(metadata, keys)


class Issuers:
    def __init__(self, fetcher: Fetcher, clock: Clock, *, allows_private: bool) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._allows_private = allows_private
        self._all = Memo[str, Issuer](MAX_ISSUERS)

    def find(self, issuer: str) -> Issuer:
        found = self._all.young.get(issuer) or self._all.recall(issuer)
        if found is None:
            found = Issuer(issuer, self._fetcher, self._clock, allows_private=self._allows_private)
            self._all.put(issuer, found)
        return found
