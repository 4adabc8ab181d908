"""Sample values for each mail in `templates/mail/`, for previews and tests.

Those of a factor's mails are in its folder; `MAILS` in app/nouns.py has all.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.model.clock import DAY
from gateway.model.moment import Day, Moment
from gateway.model.sentence import Sentence

AT = 1_773_480_360  # 14 March 2026, 09:26 UTC
DEVICE = Sentence("{browser} on {system}", browser="Chrome", system="Windows")
FACTS: Mapping[str, str | int] = {
    "name": "Erin Zoë",
    "device": DEVICE,
    "address": "203.0.113.7",
    "at": Moment(AT),
}
ABOUT = {
    **FACTS,
    "security_link": "https://app.example.com/security",
    "compromised_link": "https://app.example.com/security/compromised",
}
OF_SERVICE = {**ABOUT, "service": "Payroll export", "token": "Night job"}

SAMPLES: Mapping[str, Mapping[str, str | int]] = {
    "totp_reset": {**ABOUT, "by": "Adam Admin"},
    "new_device": {
        **ABOUT,
        "revoke_link": "https://app.example.com/security/revoke/Zm9yIHByZXZpZXdz",
        "sessions_link": "https://app.example.com/security/sessions",
    },
    "new_network": {
        **ABOUT,
        "revoke_link": "https://app.example.com/security/revoke/Zm9yIHByZXZpZXdz",
        "sessions_link": "https://app.example.com/security/sessions",
    },
    "token_created": {**ABOUT, "token": "Calendar on my phone", "until": Day(AT + 90 * DAY)},
    "token_revoked": {**ABOUT, "token": "Calendar on my phone"},
    "token_used_elsewhere": {**ABOUT, "token": "Calendar on my phone"},
    "token_expires": {
        **FACTS,
        "token": "Calendar on my phone",
        "until": Moment(AT + 7 * DAY),
        "link": "https://app.example.com/me/tokens",
    },
    "service_token_expires": {
        **FACTS,
        "service": "Payroll export",
        "token": "Night job",
        "until": Moment(AT + 7 * DAY),
        "link": "https://app.example.com/admin/tokens/service?account=acc_1",
    },
    "service_token_created": {**OF_SERVICE, "until": Day(AT + 90 * DAY)},
    "service_token_revoked": OF_SERVICE,
    "service_token_used_elsewhere": OF_SERVICE,
    "service_secured": {**ABOUT, "service": "Payroll export"},
    "account_secured": {**ABOUT, "by": "", "link": ""},
    "session_revoked": ABOUT,
    "sessions_revoked": {**ABOUT, "count": 3},
    "password_reset": {"name": "Erin Zoë", "link": "https://app.example.com/reset-password/Zm9yIHByZXZpZXdz"},
    "password_elsewhere": {"name": "Erin Zoë", "link": "https://app.example.com/login"},
    "password_changed": ABOUT,
    "sso_link": {
        "name": "Erin Zoë",
        "tenant": "Acme",
        "link": "https://app.example.com/login/sso/link/Zm9yIHByZXZpZXdz",
    },
    "break_glass_used": {**ABOUT, "who": "Adam Okoye", "email": "adam@example.com"},
    "sso_rules": {**ABOUT, "by": "Adam Okoye", "what": "required", "names": "Adam Okoye, Priya Shah"},
    "sso_certificate": {
        **FACTS,
        "until": Moment(AT + 365 * DAY),
        "link": "https://app.example.com/admin/sso/key",
    },
    "sso_linked": {**ABOUT, "issuer": "https://login.microsoftonline.com/9f5c/v2.0"},
    "sso_role_kept": {**ABOUT, "who": "Mara Okoye", "email": "mara@example.com"},
    "sso_unlinked": {**ABOUT, "issuer": "https://login.microsoftonline.com/9f5c/v2.0"},
    "networks_changed": ABOUT,
    "scim_token_created": {**ABOUT, "by": "Adam Okoye", "hint": "otw_scim_Zm9y", "until": Moment(AT + 365 * DAY)},
    "scim_token_expires": {
        **FACTS,
        "hint": "otw_scim_Zm9y",
        "until": Moment(AT + 30 * DAY),
        "link": "https://app.example.com/admin/sso/provisioning",
    },
    "scim_token_revoked": {**ABOUT, "by": "Adam Okoye", "hint": "otw_scim_Zm9y"},
    "invitation": {
        "name": "Erin Zoë",
        "invited_by": "Adam Okoye",
        "tenant": "Acme",
        "role": "manager",
        "until": Moment(AT + 7 * DAY),
        "link": "https://app.example.com/invite/Zm9yIHByZXZpZXdz",
    },
    "signup_confirm": {"name": "Erin Zoë", "link": "https://app.example.com/signup/Zm9yIHByZXZpZXdz"},
    "account_exists": {"name": "Erin Zoë", "link": "https://app.example.com/login"},
    "email_confirm": {
        "name": "Erin Zoë",
        "asked_by": "Adam Okoye",
        "company": "Acme",
        "old_email": "erin@example.com",
        "link": "https://app.example.com/me/email/Zm9yIHByZXZpZXdz",
    },
    "email_unavailable": {},
    "email_requested": {
        "name": "Erin Zoë",
        "asked_by": "Adam Okoye",
        "company": "Acme",
        "old_email": "erin@example.com",
        "new_email": "erin.zoe@example.com",
        "until": Moment(AT + 3 * DAY),
        "link": "https://app.example.com/me/email-change/Zm9yIHByZXZpZXdz",
    },
    "email_changed": {
        **FACTS,
        "new_email": "erin.zoe@example.com",
        "undo_link": "https://app.example.com/me/email-undo/Zm9yIHByZXZpZXdz",
    },
    "email_in_use": {**ABOUT, "old_email": "erin@example.com"},
    "email_undone": {**FACTS, "email": "erin@example.com", "former_email": "erin.zoe@example.com"},
    "audit_checkpoint": {"number": 48211, "line": '{"kind": "checkpoint", "number": 48211}'},
    "login_spray": {
        "accounts": 40,
        "where": "203.0.113.7",
        "at": Moment(AT),
        "ops_link": "https://app.example.com/ops",
    },
    "test": {},
}
