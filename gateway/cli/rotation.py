"""Sealing everything anew with the newest secret, in one transaction."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass

from gateway.accounts import links
from gateway.audit import marks
from gateway.audit import rows as audit
from gateway.audit.marks import Signer
from gateway.crypto.sealing import Sealer
from gateway.dispatch.forms import rows as form_rows
from gateway.factors.backup_code import BackupCodeFactor
from gateway.factors.totp import TOTPFactor
from gateway.mail import outbox
from gateway.model.clock import utc
from gateway.model.event import Entry, Event, Outcome
from gateway.settings import Settings
from gateway.store import Store


@dataclass(frozen=True, slots=True)
class Counts:
    """How much was sealed with an older secret."""

    totp: int
    codes: int
    mails: int
    links: int
    forms: int
    checkpoints: int


class DryRun(Exception):
    """Leaves the transaction without its changes."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts


async def reseal(store: Store, settings: Settings, *, dry_run: bool) -> Counts:
    """Raises Unopenable, and changes nothing, if something was sealed with a secret that is not given."""
    sealer = Sealer(settings.secrets)
    try:
        async with store.transaction() as tx:
            counts = Counts(
                await TOTPFactor(sealer).reseal(tx),
                await BackupCodeFactor(sealer).reseal(tx),
                await outbox.reseal(tx, sealer),
                await links.reseal(tx, sealer),
                await form_rows.reseal(tx, sealer),
                await marks.sign_anew(tx, Signer(settings.secrets)),
            )
            if dry_run:
                raise DryRun(counts)
            by = os.environ.get("SUDO_USER") or getpass.getuser()
            details: dict[str, str | int | bool] = {
                "by": by,
                "totp": counts.totp,
                "codes": counts.codes,
                "mails": counts.mails,
                "links": counts.links,
                "checkpoints": counts.checkpoints,
                "forms": counts.forms,
            }
            entry = Entry(Event.KEYS_ROTATED, Outcome.SUCCESS, utc(), by, request_id="cli", details=details)
            await audit.record(tx, entry)
    except DryRun as stop:
        return stop.counts
    return counts
