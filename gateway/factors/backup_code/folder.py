"""Registers backup codes."""

from __future__ import annotations

from typing import Protocol

from gateway.crypto.sealing import Sealer
from gateway.factors.backup_code.factor import BackupCodeFactor
from gateway.factors.backup_code.routes import PAGES
from gateway.factors.backup_code.rows import STORED
from gateway.factors.contract import Done, Folder
from gateway.mail.samples import ABOUT
from gateway.model.sentence import Sentence


class Needs(Protocol):
    @property
    def sealer(self) -> Sealer: ...


def build(needs: Needs) -> BackupCodeFactor:
    return BackupCodeFactor(needs.sealer)


FACTOR = Folder(
    BackupCodeFactor,
    build,
    (PAGES,),
    STORED,
    mails={
        "backup_code_used": {**ABOUT, "left": 7},
        "backup_codes_regenerated": ABOUT,
    },
    done={"regenerated": Done((Sentence("New backup codes created. Your old codes no longer work."),))},
)
