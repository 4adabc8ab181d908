"""Every stored noun, a line each: what goes through all tables goes by this list, in its order."""

from __future__ import annotations

from gateway.accounts import claims, email_changes, links
from gateway.accounts import rows as accounts
from gateway.accounts.app_sync import rows as app_sync
from gateway.accounts.csv_import import rows as csv_import
from gateway.app.factors import FACTORS
from gateway.audit import counting, marks
from gateway.audit import rows as audit
from gateway.browsers import rows as browsers
from gateway.dispatch.forms import rows as forms
from gateway.mail import outbox
from gateway.ops import blocks, failed_passwords
from gateway.ops import rows as alarms
from gateway.sessions import attempt
from gateway.sessions import rows as sessions
from gateway.throttle import limits, streaks

STORED = (
    *accounts.STORED,
    *claims.STORED,
    *app_sync.STORED,
    *csv_import.STORED,
    *(stored for factor in FACTORS for stored in factor.stored),
    *outbox.STORED,
    *links.STORED,
    *email_changes.STORED,
    *forms.STORED,
    *sessions.STORED,
    *attempt.STORED,
    *browsers.STORED,
    *limits.STORED,
    *streaks.STORED,
    *alarms.STORED,
    *blocks.STORED,
    *failed_passwords.STORED,
    *audit.STORED,
    *counting.STORED,
    *marks.STORED,
)
SEALED = {stored.sealed.name: stored.sealed for stored in STORED if stored.sealed is not None}
