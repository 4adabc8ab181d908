"""Lists every noun's pages, tables and mails, without making objects.

`PAGES` gives the table of routes; `STORED` is what retention, restore and key rotation go through, in order. `MAILS`
has sample values for each mail, by its name.
"""

from __future__ import annotations

from typing import Any

from gateway.access_review import routes as access_review
from gateway.accounts import claims, email_changes, links
from gateway.accounts import routes as accounts
from gateway.accounts import rows as account_rows
from gateway.accounts.app_sync import rows as app_sync_rows
from gateway.accounts.csv_import import rows as csv_import_rows
from gateway.app.factors import FACTORS
from gateway.audit import counting, marks
from gateway.audit import routes as audit
from gateway.audit import rows as audit_rows
from gateway.browsers import rows as browser_rows
from gateway.compromised import routes as compromised
from gateway.devices import routes as devices
from gateway.dispatch import routes as dispatch
from gateway.dispatch.forms import rows as form_rows
from gateway.login import routes as login
from gateway.mail import outbox, samples
from gateway.networks import routes as networks
from gateway.ops import blocks, conditions, failed_passwords
from gateway.ops import routes as ops
from gateway.ops import rows as attack_rows
from gateway.page_views import batches as page_view_batches
from gateway.page_views import routes as page_views
from gateway.page_views import rows as page_view_rows
from gateway.passwords import routes as passwords
from gateway.person import routes as person
from gateway.preferences import routes as preferences
from gateway.scim import group_rows, token_rows, user_rows
from gateway.scim import routes as scim
from gateway.sessions import attempt
from gateway.sessions import keeping as session_keeping
from gateway.signup import routes as signup
from gateway.store import nodes, revision, version
from gateway.tenants import routes as tenants
from gateway.throttle import limits, streaks
from gateway.tokens import routes as tokens
from gateway.tokens import rows as api_token_rows
from gateway.web import navigation, static_files
from gateway.web.routes import Pages, Route

FACTOR_PAGES: tuple[Pages[Any, Any], ...] = tuple(pages for part in FACTORS for pages in part.pages)
PAGES = (
    *login.PAGES,
    *dispatch.PAGES,
    *passwords.PAGES,
    *signup.PAGES,
    *accounts.PAGES,
    *person.PAGES,
    *devices.PAGES,
    *compromised.PAGES,
    *access_review.PAGES,
    *ops.PAGES,
    *audit.PAGES,
    *tenants.PAGES,
    *scim.PAGES,
    *tokens.PAGES,
    *page_views.PAGES,
    *networks.PAGES,
    *preferences.PAGES,
    *navigation.PAGES,
    *static_files.PAGES,
)
ALL: tuple[Pages[Any, Any], ...] = (*FACTOR_PAGES, *PAGES)
ROUTES: tuple[Route[Any], ...] = tuple(route for pages in ALL for route in pages.routes)

STORED = (
    *api_token_rows.STORED,
    *page_view_rows.STORED,
    *page_view_batches.STORED,
    *account_rows.STORED,
    *claims.STORED,
    *app_sync_rows.STORED,
    *csv_import_rows.STORED,
    *(stored for factor in FACTORS for stored in factor.stored),
    *token_rows.STORED,
    *user_rows.STORED,
    *group_rows.STORED,
    *outbox.STORED,
    *links.STORED,
    *email_changes.STORED,
    *form_rows.STORED,
    *session_keeping.STORED,
    *attempt.STORED,
    *browser_rows.STORED,
    *limits.STORED,
    *streaks.STORED,
    *attack_rows.STORED,
    *blocks.STORED,
    *failed_passwords.STORED,
    *conditions.STORED,
    *audit_rows.STORED,
    *counting.STORED,
    *marks.STORED,
    *revision.STORED,
    *nodes.STORED,
    *version.STORED,
)
SEALED = {stored.sealed.name: stored.sealed for stored in STORED if stored.sealed is not None}

MAILS = {**samples.SAMPLES, **{name: sample for factor in FACTORS for name, sample in factor.mails.items()}}
