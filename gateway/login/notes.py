"""The audit row of something that a person did in a request."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.accounts.record import Account
from gateway.audit.events import FAILURES, Entry, Event, Outcome
from gateway.edge.inbound import Inbound


def entry_of(
    event: Event,
    account: Account,
    inbound: Inbound,
    now: int,
    details: Mapping[str, str | int | bool] | Mapping[str, str] | Mapping[str, int] | None = None,
    session: str | None = None,
) -> Entry:
    return Entry(
        event,
        Outcome.FAILURE if event in FAILURES else Outcome.SUCCESS,
        now,
        account.identifier,
        tenant=account.tenant,
        account=account.id,
        address=inbound.address,
        user_agent=inbound.user_agent,
        session=session,
        request_id=inbound.request_id,
        details=dict(details or {}),
    )
