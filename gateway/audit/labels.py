"""What events, groups of them, periods and search fields are called, in the language of the page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.audit.period import Days
from gateway.model.event import Details, Event
from gateway.model.event_groups import Group
from gateway.model.factor import Factor

Labels = Mapping[str, str]
LabelsByFactor = Mapping[tuple[str, object], str]


def label_events(_: Callable[[str], str]) -> Labels:
    """Return each event's sentence, sorted by sentence. `_` translates.

    Long because it is a table.
    """
    labels = {
        Event.LOGIN: _("Signed in"),
        Event.LOGIN_FAILED: _("Sign-in failed"),
        Event.LOGIN_LOCKOUT: _("Locked after too many failed attempts"),
        Event.LOGIN_STEP: _("Sign-in step completed"),
        Event.LOGIN_2FA_FAILED: _("Second step rejected"),
        Event.LOGIN_LINK_SENT: _("Sign-in link sent"),
        Event.LOGIN_LINK_UNSENT: _("Sign-in link couldn’t be sent"),
        Event.STEP_UP: _("Identity re-confirmed"),
        Event.LOGOUT: _("Signed out"),
        Event.TWO_FACTOR_ENABLED: _("Two-step verification turned on"),
        Event.TWO_FACTOR_DISABLED: _("Two-step verification turned off"),
        Event.TWO_FACTOR_RESET: _("Two-step verification reset by an administrator"),
        Event.TWO_FACTOR_CODES_REGENERATED: _("New backup codes created"),
        Event.TWO_FACTOR_CODE_USED: _("Backup code used"),
        Event.PASSKEY_ADDED: _("Passkey added"),
        Event.PASSKEY_RENAMED: _("Passkey renamed"),
        Event.PASSKEY_REMOVED: _("Passkey removed"),
        Event.PASSKEY_WENT_BACK: _("Passkey used that may have been copied"),
        Event.PASSKEYS_ONLY_ENABLED: _("Passkeys-only sign-in turned on"),
        Event.PASSKEYS_ONLY_DISABLED: _("Passkeys-only sign-in turned off"),
        Event.FORM_KEPT: _("Form saved until sign-in was completed"),
        Event.FORM_SENT: _("Saved form submitted"),
        Event.KEYS_ROTATED: _("Secrets re-encrypted with a new key"),
        Event.MAIL_ABANDONED: _("Email couldn’t be delivered"),
        Event.AUDIT_EXPORTED: _("Audit log downloaded"),
        Event.AUDIT_TRIMMED: _("Oldest log entries deleted"),
        Event.REPEATED: _("More of the same, counted by the minute"),
        Event.LOGIN_SPRAY_SEEN: _("Same wrong password tried on many accounts"),
        Event.ADDRESS_BLOCKED: _("IP address blocked"),
        Event.ADDRESS_UNBLOCKED: _("IP address unblocked"),
        Event.ACCOUNT_UNLOCKED: _("Account unlocked"),
        Event.ACCOUNT_SECURED: _("Everything ended after unauthorised use"),
        Event.ACCESS_EXPORTED: _("List of who has access downloaded"),
        Event.ACCESS_REVIEWED: _("Access of all people reviewed"),
        Event.SESSION_REVOKED: _("Device signed out"),
        Event.SESSION_REVOKED_ALL: _("All devices signed out"),
        Event.PASSWORD_RESET_ASKED: _("Password reset requested"),
        Event.ACCOUNT_INVITED: _("Invitation sent"),
        Event.ACCOUNT_SIGNED_UP: _("Signed up"),
        Event.EMAIL_CHANGE_REQUESTED: _("Email change requested"),
        Event.EMAIL_CHANGE_CONFIRMED: _("Email change confirmed by the new address"),
        Event.EMAIL_CHANGE_AGREED: _("Email change approved by the old address"),
        Event.EMAIL_CHANGE_STOPPED: _("Email change stopped by the old address"),
        Event.EMAIL_CHANGED: _("Email changed"),
        Event.EMAIL_CHANGE_UNDONE: _("Email change undone"),
        Event.ACCOUNT_EMAIL_CHANGE_ASKED: _("Email change requested (before this version)"),
        Event.ACCOUNT_EMAIL_CHANGED: _("Email changed (before this version)"),
        Event.ACCOUNT_REMOVED: _("Account removed"),
        Event.ACCOUNT_RENAMED: _("Name changed"),
        Event.ACCOUNT_ADDED: _("Account added"),
        Event.ACCOUNT_ERASED: _("Personal data erased from the log"),
        Event.ACCOUNT_DISABLED: _("Account disabled"),
        Event.ACCOUNT_ENABLED: _("Account enabled"),
        Event.ACCOUNT_ROLE_CHANGED: _("Role changed"),
        Event.ACCOUNT_UPDATED: _("Account updated by an import"),
        Event.PASSWORD_CHANGED: _("Password changed"),
        Event.TENANT_ADDED: _("Tenant added"),
        Event.TENANT_RENAMED: _("Tenant renamed"),
        Event.TENANT_SUSPENDED: _("Tenant suspended"),
        Event.TENANT_RESUMED: _("Tenant reactivated"),
        Event.TENANT_SIGN_IN_CHANGED: _("Sign-in requirements changed"),
        Event.TENANT_LANGUAGE_CHANGED: _("Language changed"),
        Event.SSO_CHANGED: _("Single sign-on settings changed"),
        Event.SSO_TRIED: _("Single sign-on tried out"),
        Event.SSO_ENABLED: _("Single sign-on turned on"),
        Event.SSO_DISABLED: _("Single sign-on turned off"),
        Event.SSO_REMOVED: _("Single sign-on removed"),
        Event.SSO_LINKED: _("Account connected to single sign-on"),
        Event.TOKEN_CREATED: _("API token created"),
        Event.TOKEN_REVOKED: _("API token revoked"),
        Event.NETWORK_REFUSED: _("Refused because of the network it came from"),
        Event.NETWORKS_CHANGED: _("Allowed networks changed"),
        Event.TOKEN_REFUSED: _("Request with an API token refused"),
        Event.TOKEN_USED_ELSEWHERE: _("API token used from a new network"),
        Event.SSO_REQUIRED: _("Single sign-on required"),
        Event.SSO_OPTIONAL: _("Single sign-on no longer required"),
        Event.BREAK_GLASS_CHANGED: _("Exempt administrators changed"),
        Event.BREAK_GLASS_USED: _("Exempt administrator signed in without single sign-on"),
        Event.SSO_KEY_MADE: _("Signing key for single sign-on made"),
        Event.SSO_KEY_USED: _("Signing key for single sign-on changed"),
        Event.SSO_KEY_REMOVED: _("Signing key for single sign-on removed"),
        Event.SSO_UNLINKED: _("Account disconnected from single sign-on"),
        Event.SSO_LOGOUT_REFUSED: _("Sign-out by the identity provider rejected"),
        Event.SCIM_TOKEN_CREATED: _("Provisioning token created"),
        Event.SCIM_TOKEN_REVOKED: _("Provisioning token revoked"),
        Event.SCIM_USER_LINKED: _("Account now managed by provisioning"),
        Event.SCIM_USER_CHANGED: _("Account details changed by provisioning"),
        Event.SCIM_USER_UNLINKED: _("Account no longer managed by provisioning"),
        Event.SCIM_GROUP_ADDED: _("Group added by provisioning"),
        Event.SCIM_GROUP_CHANGED: _("Group changed by provisioning"),
        Event.SCIM_GROUP_REMOVED: _("Group removed by provisioning"),
        Event.SCIM_MEMBER_ADDED: _("Added to a group by provisioning"),
        Event.SCIM_MEMBER_REMOVED: _("Removed from a group by provisioning"),
        Event.SCIM_REFUSED: _("Provisioning request refused"),
        Event.SSO_ROLES_CHANGED: _("Roles by single sign-on changed"),
        Event.SSO_ROLE_KEPT: _("Last administrator kept the role"),
        Event.DOMAIN_CLAIMED: _("Email domain claimed"),
        Event.DOMAIN_RELEASED: _("Email domain released"),
        Event.PAGE_VIEWS_ENABLED: _("Recording of page views switched on"),
        Event.PAGE_VIEWS_DISABLED: _("Recording of page views switched off"),
        Event.PAGE_VIEWS_READ: _("Page views of a person read"),
        Event.PAGE_VIEWS_EXPORTED: _("Page views of a person exported"),
    }
    return dict(sorted(labels.items(), key=lambda item: item[1].casefold()))


def label_failures(_: Callable[[str], str]) -> LabelsByFactor:
    """Return the sentences of rows that tell of one factor, by event and the detail `factor`; "" is for all others."""
    return {
        (Event.LOGIN_FAILED, ""): _("Password sign-in failed"),
        (Event.LOGIN_FAILED, Factor.PASSKEY): _("Passkey sign-in failed"),
        (Event.LOGIN_FAILED, "sso"): _("Single sign-on failed"),
        (Event.LOGIN_2FA_FAILED, ""): _("Code or link rejected"),
        (Event.LOGIN_2FA_FAILED, Factor.PASSKEY): _("Passkey rejected"),
    }


def label_row(event: str, details: Details, labels: Labels, by_factor: LabelsByFactor) -> str:
    """Return the sentence of a row, or "" if this version doesn't know the event."""
    label = by_factor.get((event, details.get("factor")), by_factor.get((event, "")))
    return label or labels.get(event, "")


def label_groups(_: Callable[[str], str]) -> Mapping[Group, str]:
    return {
        Group.FAILED_SIGN_INS: _("Failed sign-ins"),
        Group.SIGN_INS: _("Sign-ins"),
        Group.SIGN_OUTS: _("Sign-outs"),
        Group.ACCOUNTS: _("Changes to accounts"),
        Group.CREDENTIALS: _("Passwords and second steps"),
        Group.ADMINISTRATION: _("Changes by administrators"),
        Group.DOWNLOADS: _("Downloads and reviews"),
        Group.WARNINGS: _("Warnings"),
    }


def label_days(_: Callable[[str], str]) -> Mapping[Days, str]:
    return {
        Days.TODAY: _("Today"),
        Days.YESTERDAY: _("Yesterday"),
        Days.LAST_7: _("Last 7 days"),
        Days.LAST_30: _("Last 30 days"),
        Days.ANY: _("Any time"),
    }


def label_fields(_: Callable[[str], str]) -> Labels:
    """Return the names of the search fields, for the message that one can't be read."""
    return {
        "day": _("Period"),
        "event": _("Event"),
        "person": _("Email"),
        "address": _("IP address"),
        "tenant": _("Tenant"),
        "since": _("From"),
        "until": _("To"),
        "words": _("Search all fields"),
        "before": _("Page"),
    }
