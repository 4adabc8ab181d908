"""Re-encrypts all sealed columns with the newest secret, in one transaction."""

from __future__ import annotations

from gateway.app.nouns import SEALED
from gateway.audit import marks
from gateway.audit import rows as audit
from gateway.audit.marks import Signer
from gateway.cli.common import operator
from gateway.crypto import sealing
from gateway.crypto.sealing import Sealer
from gateway.model.clock import utc
from gateway.model.entry import Details, Entry, Outcome
from gateway.model.event import Event
from gateway.settings import Settings
from gateway.store import Store


class DryRun(Exception):
    """Rolls the transaction back."""


async def reseal(store: Store, settings: Settings, *, dry_run: bool) -> dict[str, int]:
    """Return the number of re-encrypted values by kind, and the number of `checkpoints` that were signed again.

    Raises Unopenable, without changes, if a value was sealed with an unknown secret.
    """
    sealer, by = Sealer(settings.secrets), operator()
    counts: dict[str, int] = {}
    try:
        async with store.transaction() as tx:
            for name, sealed in SEALED.items():
                counts[name] = await sealing.reseal(tx, sealer, sealed)
            counts["checkpoints"] = await marks.sign_anew(tx, Signer(settings.secrets))
            if dry_run:
                raise DryRun
            details: Details = {"by": by, **counts}
            entry = Entry(Event.KEYS_ROTATED, Outcome.SUCCESS, utc(), by, request_id="cli", details=details)
            await audit.record(tx, entry)
    except DryRun:
        pass
    return counts
