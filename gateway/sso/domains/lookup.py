"""Looks up the TXT record that proves a domain.

The blocking resolver of dnspython, in threads of its own: to parse the largest answer of a name server (64 kB) takes a
tenth of a second, and the event loop must not wait for that. dnspython is imported there as well, when it is first
used. Only the configured resolver is asked, never a server that a tenant names.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TYPE_CHECKING

from gateway.observe.logs import get_logger
from gateway.settings.values import read_resolver

if TYPE_CHECKING:
    from dns.resolver import Resolver

LABEL = "_otiumwork-challenge"
SECONDS = 5.0
ATTEMPT_SECONDS = 2.0  # for one question to one server
THREADS = 4
MOST_TEXTS = 50

log = get_logger("sso")


class Unanswered(Enum):
    LATE = "late"
    FAILED = "failed"


class Lookup:
    """`resolver` is an IP address, with or without a port; "" uses the system's configuration."""

    def __init__(self, resolver: str = "", seconds: float = SECONDS) -> None:
        self._resolver = resolver
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="domains")

    async def find(self, name: str) -> list[bytes] | Unanswered:
        """Return the texts that are published at a name; none if there is no such record."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds):
                return await loop.run_in_executor(self._threads, look_up, name, self._resolver, self._seconds)
        except TimeoutError:
            return Unanswered.LATE

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def record_name(domain: str) -> str:
    return f"{LABEL}.{domain}"


def look_up(name: str, server: str, seconds: float) -> list[bytes] | Unanswered:
    import dns.exception
    import dns.resolver

    try:
        answer = resolver_of(server).resolve(
            f"{name}.", "TXT", lifetime=seconds, search=False, raise_on_no_answer=False
        )
    except (dns.resolver.NXDOMAIN, dns.resolver.YXDOMAIN):
        return []
    except dns.exception.Timeout:
        return Unanswered.LATE
    except (dns.exception.DNSException, OSError, ValueError) as error:
        log.info("domain_lookup_failed", name=name, reason=type(error).__name__)
        return Unanswered.FAILED
    return [b"".join(text.strings) for text in list(answer.rrset or ())[:MOST_TEXTS]]


def resolver_of(server: str) -> Resolver:
    from dns.resolver import Resolver

    resolver = Resolver(configure=not server)
    if server:
        host, resolver.port = read_resolver(server)
        resolver.nameservers = [host]
    resolver.timeout = ATTEMPT_SECONDS
    return resolver
