"""Audit events: everything that concerns access and permissions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gateway.model.inbound import Inbound


class Event(StrEnum):
    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    LOGIN_LOCKOUT = "login_lockout"
    LOGIN_STEP = "login_step"
    LOGIN_2FA_FAILED = "login_2fa_failed"
    LOGIN_LINK_SENT = "login_link_sent"
    LOGIN_LINK_UNSENT = "login_link_unsent"
    STEP_UP = "step_up"
    LOGOUT = "logout"
    TWO_FACTOR_ENABLED = "2fa_enabled"
    TWO_FACTOR_DISABLED = "2fa_disabled"
    TWO_FACTOR_RESET = "2fa_reset"
    TWO_FACTOR_CODES_REGENERATED = "2fa_codes_regenerated"
    TWO_FACTOR_CODE_USED = "2fa_code_used"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_RENAMED = "passkey_renamed"
    PASSKEY_REMOVED = "passkey_removed"
    PASSKEY_WENT_BACK = "passkey_went_back"
    PASSKEYS_ONLY_ENABLED = "passkeys_only_enabled"
    PASSKEYS_ONLY_DISABLED = "passkeys_only_disabled"
    FORM_KEPT = "form_kept"
    FORM_SENT = "form_sent"
    KEYS_ROTATED = "keys_rotated"
    MAIL_ABANDONED = "mail_abandoned"
    AUDIT_EXPORTED = "audit_exported"
    AUDIT_TRIMMED = "audit_trimmed"
    LOGIN_SPRAY_SEEN = "login_spray_seen"
    REPEATED = "repeated"
    ADDRESS_BLOCKED = "address_blocked"
    ADDRESS_UNBLOCKED = "address_unblocked"
    ACCOUNT_UNLOCKED = "account_unlocked"
    SESSION_REVOKED = "session_revoked"
    SESSION_REVOKED_ALL = "session_revoked_all"
    PASSWORD_RESET_ASKED = "password_reset_asked"  # noqa: S105 - an event's name
    ACCOUNT_INVITED = "account_invited"
    ACCOUNT_SIGNED_UP = "account_signed_up"
    EMAIL_CHANGE_REQUESTED = "email_change_requested"
    EMAIL_CHANGE_CONFIRMED = "email_change_confirmed"
    EMAIL_CHANGE_AGREED = "email_change_agreed"
    EMAIL_CHANGE_STOPPED = "email_change_stopped"
    EMAIL_CHANGED = "email_changed"
    EMAIL_CHANGE_UNDONE = "email_change_undone"
    ACCOUNT_EMAIL_CHANGE_ASKED = "account_email_change_asked"  # in rows of 0.1.0
    ACCOUNT_EMAIL_CHANGED = "account_email_changed"  # in rows of 0.1.0
    ACCOUNT_REMOVED = "account_removed"
    ACCOUNT_RENAMED = "account_renamed"
    ACCOUNT_ADDED = "account_added"
    ACCOUNT_ERASED = "account_erased"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_ENABLED = "account_enabled"
    ACCOUNT_ROLE_CHANGED = "account_role_changed"
    ACCOUNT_UPDATED = "account_updated"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an event's name
    TENANT_ADDED = "tenant_added"
    TENANT_RENAMED = "tenant_renamed"
    TENANT_SUSPENDED = "tenant_suspended"
    TENANT_RESUMED = "tenant_resumed"
    TENANT_SIGN_IN_CHANGED = "tenant_sign_in_changed"
    TENANT_LANGUAGE_CHANGED = "tenant_language_changed"
    SSO_CHANGED = "sso_changed"
    SSO_TRIED = "sso_tried"
    SSO_ENABLED = "sso_enabled"
    SSO_DISABLED = "sso_disabled"
    SSO_REMOVED = "sso_removed"
    SSO_LINKED = "sso_linked"
    SSO_KEY_MADE = "sso_key_made"
    SSO_KEY_USED = "sso_key_used"
    SSO_KEY_REMOVED = "sso_key_removed"
    SSO_REQUIRED = "sso_required"
    SSO_OPTIONAL = "sso_optional"
    BREAK_GLASS_CHANGED = "break_glass_changed"
    BREAK_GLASS_USED = "break_glass_used"
    SSO_UNLINKED = "sso_unlinked"
    SSO_LOGOUT_REFUSED = "sso_logout_refused"
    SCIM_TOKEN_CREATED = "scim_token_created"  # noqa: S105 - an event's name
    SCIM_TOKEN_REVOKED = "scim_token_revoked"  # noqa: S105 - an event's name
    SCIM_USER_LINKED = "scim_user_linked"
    SCIM_USER_CHANGED = "scim_user_changed"
    SCIM_USER_UNLINKED = "scim_user_unlinked"
    SCIM_GROUP_ADDED = "scim_group_added"
    SCIM_GROUP_CHANGED = "scim_group_changed"
    SCIM_GROUP_REMOVED = "scim_group_removed"
    SCIM_MEMBER_ADDED = "scim_member_added"
    SCIM_MEMBER_REMOVED = "scim_member_removed"
    SCIM_REFUSED = "scim_refused"
    SSO_ROLES_CHANGED = "sso_roles_changed"
    SSO_ROLE_KEPT = "sso_role_kept"
    TOKEN_CREATED = "token_created"  # noqa: S105 - an event's name, as are the next three
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    TOKEN_REFUSED = "token_refused"  # noqa: S105
    TOKEN_USED_ELSEWHERE = "token_used_elsewhere"  # noqa: S105
    NETWORK_REFUSED = "network_refused"
    NETWORKS_CHANGED = "networks_changed"
    ACCOUNT_SECURED = "account_secured"
    ACCESS_EXPORTED = "access_exported"
    ACCESS_REVIEWED = "access_reviewed"
    DOMAIN_CLAIMED = "domain_claimed"
    DOMAIN_RELEASED = "domain_released"
    PAGE_VIEWS_ENABLED = "page_views_enabled"
    PAGE_VIEWS_DISABLED = "page_views_disabled"
    PAGE_VIEWS_READ = "page_views_read"
    PAGE_VIEWS_EXPORTED = "page_views_exported"


FAILURES = frozenset(
    (
        Event.LOGIN_FAILED,
        Event.LOGIN_LOCKOUT,
        Event.LOGIN_2FA_FAILED,
        Event.LOGIN_LINK_UNSENT,
        Event.MAIL_ABANDONED,
        Event.TOKEN_REFUSED,
        Event.LOGIN_SPRAY_SEEN,
        Event.SSO_LOGOUT_REFUSED,
        Event.SCIM_REFUSED,
        Event.NETWORK_REFUSED,
    )
)

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
