"""One row of the audit log, before it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gateway.model.event import Event
from gateway.model.inbound import Inbound

ACTOR = "by"  # the detail that names the actor, if it is not the account itself
# Names of details that are not personal, and remain when a person is erased. All other text is erased: for a new
# detail, losing it is safer than keeping it.
FACTS = frozenset(
    (
        "method",
        "reason",
        "factor",
        "proved",
        "next",
        "role",
        "how",
        "where",
        "breach_api",
        "failures",
        "template",
        "format",
        "filters",
        "kind",
        "of",
        "group",
        "attributes",
    )
)


class Outcome(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"


Details = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the audit log. `at` is UTC seconds; `details` never contain secrets."""

    event: Event
    outcome: Outcome
    at: int
    identifier: str
    tenant: str | None = None
    account: str | None = None
    address: str = ""
    user_agent: str = ""
    session: str | None = None
    request_id: str = ""
    details: Details = field(default_factory=dict)

    @property
    def actor(self) -> str:
        """The person who acted, if it is not the account itself; "" otherwise."""
        return str(self.details.get(ACTOR, ""))

    @property
    def facts(self) -> Details:
        """The details that are not personal: numbers, and the texts named in FACTS."""
        return {name: value for name, value in self.details.items() if name != ACTOR and is_fact(name, value)}

    @property
    def personal(self) -> Details:
        """The details that are erased with the person."""
        return {name: value for name, value in self.details.items() if name != ACTOR and not is_fact(name, value)}

    def with_details(self, more: Details) -> Entry:
        return replace(self, details={**self.details, **more})

    def seen_from(self, inbound: Inbound, session: str) -> Entry:
        """Return a copy with the client's address, browser and request id, and the session that acted."""
        return replace(
            self,
            address=inbound.address,
            user_agent=inbound.user_agent,
            request_id=inbound.request_id,
            session=session,
        )


def is_fact(name: str, value: str | int | bool) -> bool:
    return name in FACTS or not isinstance(value, str)
