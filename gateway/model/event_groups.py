"""Groups of audit events: what people look for in the log, as one choice.

A new event gets a line in each group where people would expect it; a test asks for at least one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from gateway.model.event import Event


class Group(StrEnum):
    """In display order. The values are part of saved addresses."""

    FAILED_SIGN_INS = "failed-sign-ins"
    SIGN_INS = "sign-ins"
    SIGN_OUTS = "sign-outs"
    ACCOUNTS = "accounts"
    CREDENTIALS = "credentials"
    ADMINISTRATION = "administration"
    DOWNLOADS = "downloads"
    WARNINGS = "warnings"


# An event may be in several groups. Entries that count repetitions of an event are found with it.
GROUPS: Mapping[Group, frozenset[Event]] = {
    Group.FAILED_SIGN_INS: frozenset(
        (
            Event.LOGIN_FAILED,
            Event.LOGIN_2FA_FAILED,
            Event.LOGIN_LOCKOUT,
            Event.LOGIN_LINK_UNSENT,
            Event.NETWORK_REFUSED,
        )
    ),
    Group.SIGN_INS: frozenset((Event.LOGIN,)),
    Group.SIGN_OUTS: frozenset((Event.LOGOUT, Event.SESSION_REVOKED, Event.SESSION_REVOKED_ALL, Event.ACCOUNT_SECURED)),
    Group.ACCOUNTS: frozenset(
        (
            Event.ACCOUNT_INVITED,
            Event.ACCOUNT_SIGNED_UP,
            Event.ACCOUNT_ADDED,
            Event.ACCOUNT_RENAMED,
            Event.ACCOUNT_UPDATED,
            Event.ACCOUNT_ROLE_CHANGED,
            Event.ACCOUNT_DISABLED,
            Event.ACCOUNT_ENABLED,
            Event.ACCOUNT_UNLOCKED,
            Event.ACCOUNT_SECURED,
            Event.ACCOUNT_REMOVED,
            Event.ACCOUNT_ERASED,
            Event.ACCOUNT_EMAIL_CHANGE_ASKED,
            Event.ACCOUNT_EMAIL_CHANGED,
            Event.EMAIL_CHANGE_REQUESTED,
            Event.EMAIL_CHANGE_CONFIRMED,
            Event.EMAIL_CHANGE_AGREED,
            Event.EMAIL_CHANGE_STOPPED,
            Event.EMAIL_CHANGED,
            Event.EMAIL_CHANGE_UNDONE,
            Event.SCIM_USER_LINKED,
            Event.SCIM_USER_CHANGED,
            Event.SCIM_USER_UNLINKED,
            Event.SCIM_MEMBER_ADDED,
            Event.SCIM_MEMBER_REMOVED,
            Event.SSO_ROLE_KEPT,
            Event.TWO_FACTOR_RESET,
        )
    ),
    Group.CREDENTIALS: frozenset(
        (
            Event.PASSWORD_RESET_ASKED,
            Event.PASSWORD_CHANGED,
            Event.TWO_FACTOR_ENABLED,
            Event.TWO_FACTOR_DISABLED,
            Event.TWO_FACTOR_RESET,
            Event.TWO_FACTOR_CODES_REGENERATED,
            Event.TWO_FACTOR_CODE_USED,
            Event.PASSKEY_ADDED,
            Event.PASSKEY_RENAMED,
            Event.PASSKEY_REMOVED,
            Event.PASSKEYS_ONLY_ENABLED,
            Event.PASSKEYS_ONLY_DISABLED,
            Event.SSO_LINKED,
            Event.SSO_UNLINKED,
            Event.TOKEN_CREATED,
            Event.TOKEN_REVOKED,
        )
    ),
    Group.ADMINISTRATION: frozenset(
        (
            Event.ACCOUNT_INVITED,
            Event.ACCOUNT_ADDED,
            Event.ACCOUNT_UPDATED,
            Event.ACCOUNT_ROLE_CHANGED,
            Event.ACCOUNT_DISABLED,
            Event.ACCOUNT_ENABLED,
            Event.ACCOUNT_UNLOCKED,
            Event.ACCOUNT_REMOVED,
            Event.ACCOUNT_ERASED,
            Event.TWO_FACTOR_RESET,
            Event.TENANT_ADDED,
            Event.TENANT_RENAMED,
            Event.TENANT_SUSPENDED,
            Event.TENANT_RESUMED,
            Event.TENANT_SIGN_IN_CHANGED,
            Event.TENANT_LANGUAGE_CHANGED,
            Event.SSO_CHANGED,
            Event.SSO_TRIED,
            Event.SSO_ENABLED,
            Event.SSO_DISABLED,
            Event.SSO_REMOVED,
            Event.SSO_REQUIRED,
            Event.SSO_OPTIONAL,
            Event.SSO_ROLES_CHANGED,
            Event.SSO_KEY_MADE,
            Event.SSO_KEY_USED,
            Event.SSO_KEY_REMOVED,
            Event.BREAK_GLASS_CHANGED,
            Event.SCIM_TOKEN_CREATED,
            Event.SCIM_TOKEN_REVOKED,
            Event.SCIM_GROUP_ADDED,
            Event.SCIM_GROUP_CHANGED,
            Event.SCIM_GROUP_REMOVED,
            Event.NETWORKS_CHANGED,
            Event.DOMAIN_CLAIMED,
            Event.DOMAIN_RELEASED,
            Event.PAGE_VIEWS_ENABLED,
            Event.PAGE_VIEWS_DISABLED,
            Event.ADDRESS_BLOCKED,
            Event.ADDRESS_UNBLOCKED,
            Event.KEYS_ROTATED,
            Event.AUDIT_TRIMMED,
        )
    ),
    Group.DOWNLOADS: frozenset(
        (
            Event.AUDIT_EXPORTED,
            Event.ACCESS_EXPORTED,
            Event.ACCESS_REVIEWED,
            Event.PAGE_VIEWS_READ,
            Event.PAGE_VIEWS_EXPORTED,
        )
    ),
    Group.WARNINGS: frozenset(
        (
            Event.LOGIN_LOCKOUT,
            Event.LOGIN_SPRAY_SEEN,
            Event.LOGIN_LINK_UNSENT,
            Event.PASSKEY_WENT_BACK,
            Event.BREAK_GLASS_USED,
            Event.ACCOUNT_SECURED,
            Event.EMAIL_CHANGE_STOPPED,
            Event.EMAIL_CHANGE_UNDONE,
            Event.TOKEN_REFUSED,
            Event.TOKEN_USED_ELSEWHERE,
            Event.NETWORK_REFUSED,
            Event.SSO_LOGOUT_REFUSED,
            Event.SSO_ROLE_KEPT,
            Event.SCIM_REFUSED,
            Event.MAIL_ABANDONED,
        )
    ),
}

# Steps on the way to something that has an entry of its own, and the counts of repetitions.
UNGROUPED = frozenset(
    (Event.LOGIN_STEP, Event.LOGIN_LINK_SENT, Event.STEP_UP, Event.FORM_KEPT, Event.FORM_SENT, Event.REPEATED)
)
