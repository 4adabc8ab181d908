"""Routes of backup codes."""

from __future__ import annotations

from gateway.factors.backup_code.pages import BackupCodePages, Needs
from gateway.policy.decision import Need
from gateway.web.routes import Fresh, Pages, Route

PAGES = Pages[Needs, BackupCodePages](
    BackupCodePages,
    Route(
        "backup", "/login/backup", Need.NOBODY, get=BackupCodePages.show, post=BackupCodePages.submit,
        refuses_blocked=True, is_dead_end=True,
    ),
    Route(
        "security_codes", "/me/security/codes", Need.SESSION,
        get=BackupCodePages.confirm_renewal, post=BackupCodePages.renew, fresh=Fresh(),
    ),
)  # fmt: skip
