"""What events, groups of them, periods and search fields are called. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.audit.period import Days
from gateway.languages.reader import translate
from gateway.model.event import Details, Event
from gateway.model.event_groups import Group
from gateway.model.factor import Factor
from gateway.model.sentence import Sentence

EVENT_NAMES: Mapping[str, Sentence] = {
    Event.LOGIN: Sentence("Signed in"),
    Event.LOGIN_FAILED: Sentence("Sign-in failed"),
    Event.LOGIN_LOCKOUT: Sentence("Locked after too many failed attempts"),
    Event.LOGIN_STEP: Sentence("Sign-in step completed"),
    Event.LOGIN_2FA_FAILED: Sentence("Second step rejected"),
    Event.LOGIN_LINK_SENT: Sentence("Sign-in link sent"),
    Event.LOGIN_LINK_UNSENT: Sentence("Sign-in link couldn’t be sent"),
    Event.STEP_UP: Sentence("Identity re-confirmed"),
    Event.LOGOUT: Sentence("Signed out"),
    Event.TWO_FACTOR_ENABLED: Sentence("Two-step verification turned on"),
    Event.TWO_FACTOR_DISABLED: Sentence("Two-step verification turned off"),
    Event.TWO_FACTOR_RESET: Sentence("Two-step verification reset by an administrator"),
    Event.TWO_FACTOR_CODES_REGENERATED: Sentence("New backup codes created"),
    Event.TWO_FACTOR_CODE_USED: Sentence("Backup code used"),
    Event.PASSKEY_ADDED: Sentence("Passkey added"),
    Event.PASSKEY_RENAMED: Sentence("Passkey renamed"),
    Event.PASSKEY_REMOVED: Sentence("Passkey removed"),
    Event.PASSKEY_WENT_BACK: Sentence("Passkey used that may have been copied"),
    Event.PASSKEYS_ONLY_ENABLED: Sentence("Passkeys-only sign-in turned on"),
    Event.PASSKEYS_ONLY_DISABLED: Sentence("Passkeys-only sign-in turned off"),
    Event.FORM_KEPT: Sentence("Form saved until sign-in was completed"),
    Event.FORM_SENT: Sentence("Saved form submitted"),
    Event.KEYS_ROTATED: Sentence("Secrets re-encrypted with a new key"),
    Event.MAIL_ABANDONED: Sentence("Email couldn’t be delivered"),
    Event.AUDIT_EXPORTED: Sentence("Audit log downloaded"),
    Event.AUDIT_TRIMMED: Sentence("Oldest log entries deleted"),
    Event.REPEATED: Sentence("More of the same, counted by the minute"),
    Event.LOGIN_SPRAY_SEEN: Sentence("Same wrong password tried on many accounts"),
    Event.ADDRESS_BLOCKED: Sentence("IP address blocked"),
    Event.ADDRESS_UNBLOCKED: Sentence("IP address unblocked"),
    Event.ACCOUNT_UNLOCKED: Sentence("Account unlocked"),
    Event.ACCOUNT_SECURED: Sentence("Everything ended after unauthorised use"),
    Event.ACCESS_EXPORTED: Sentence("List of who has access downloaded"),
    Event.ACCESS_REVIEWED: Sentence("Access of all people reviewed"),
    Event.SESSION_REVOKED: Sentence("Device signed out"),
    Event.SESSION_REVOKED_ALL: Sentence("All devices signed out"),
    Event.PASSWORD_RESET_ASKED: Sentence("Password reset requested"),
    Event.ACCOUNT_INVITED: Sentence("Invitation sent"),
    Event.ACCOUNT_SIGNED_UP: Sentence("Signed up"),
    Event.EMAIL_CHANGE_REQUESTED: Sentence("Email change requested"),
    Event.EMAIL_CHANGE_CONFIRMED: Sentence("Email change confirmed by the new address"),
    Event.EMAIL_CHANGE_AGREED: Sentence("Email change approved by the old address"),
    Event.EMAIL_CHANGE_STOPPED: Sentence("Email change stopped by the old address"),
    Event.EMAIL_CHANGED: Sentence("Email changed"),
    Event.EMAIL_CHANGE_UNDONE: Sentence("Email change undone"),
    Event.ACCOUNT_EMAIL_CHANGE_ASKED: Sentence("Email change requested (before this version)"),
    Event.ACCOUNT_EMAIL_CHANGED: Sentence("Email changed (before this version)"),
    Event.ACCOUNT_REMOVED: Sentence("Account removed"),
    Event.ACCOUNT_RENAMED: Sentence("Name changed"),
    Event.ACCOUNT_ADDED: Sentence("Account added"),
    Event.ACCOUNT_ERASED: Sentence("Personal data erased from the log"),
    Event.ACCOUNT_DISABLED: Sentence("Account disabled"),
    Event.ACCOUNT_ENABLED: Sentence("Account enabled"),
    Event.ACCOUNT_ROLE_CHANGED: Sentence("Role changed"),
    Event.ACCOUNT_UPDATED: Sentence("Account updated by an import"),
    Event.PASSWORD_CHANGED: Sentence("Password changed"),
    Event.TENANT_ADDED: Sentence("Tenant added"),
    Event.TENANT_RENAMED: Sentence("Tenant renamed"),
    Event.TENANT_SUSPENDED: Sentence("Tenant suspended"),
    Event.TENANT_RESUMED: Sentence("Tenant reactivated"),
    Event.TENANT_SIGN_IN_CHANGED: Sentence("Sign-in requirements changed"),
    Event.TENANT_LANGUAGE_CHANGED: Sentence("Language changed"),
    Event.SSO_CHANGED: Sentence("Single sign-on settings changed"),
    Event.SSO_TRIED: Sentence("Single sign-on tried out"),
    Event.SSO_ENABLED: Sentence("Single sign-on turned on"),
    Event.SSO_DISABLED: Sentence("Single sign-on turned off"),
    Event.SSO_REMOVED: Sentence("Single sign-on removed"),
    Event.SSO_LINKED: Sentence("Account connected to single sign-on"),
    Event.TOKEN_CREATED: Sentence("API token created"),
    Event.TOKEN_REVOKED: Sentence("API token revoked"),
    Event.NETWORK_REFUSED: Sentence("Refused because of the network it came from"),
    Event.NETWORKS_CHANGED: Sentence("Allowed networks changed"),
    Event.TOKEN_REFUSED: Sentence("Request with an API token refused"),
    Event.TOKEN_USED_ELSEWHERE: Sentence("API token used from a new network"),
    Event.SSO_REQUIRED: Sentence("Single sign-on required"),
    Event.SSO_OPTIONAL: Sentence("Single sign-on no longer required"),
    Event.BREAK_GLASS_CHANGED: Sentence("Exempt administrators changed"),
    Event.BREAK_GLASS_USED: Sentence("Exempt administrator signed in without single sign-on"),
    Event.SSO_KEY_MADE: Sentence("Signing key for single sign-on made"),
    Event.SSO_KEY_USED: Sentence("Signing key for single sign-on changed"),
    Event.SSO_KEY_REMOVED: Sentence("Signing key for single sign-on removed"),
    Event.SSO_UNLINKED: Sentence("Account disconnected from single sign-on"),
    Event.SSO_LOGOUT_REFUSED: Sentence("Sign-out by the identity provider rejected"),
    Event.SCIM_TOKEN_CREATED: Sentence("Provisioning token created"),
    Event.SCIM_TOKEN_REVOKED: Sentence("Provisioning token revoked"),
    Event.SCIM_USER_LINKED: Sentence("Account now managed by provisioning"),
    Event.SCIM_USER_CHANGED: Sentence("Account details changed by provisioning"),
    Event.SCIM_USER_UNLINKED: Sentence("Account no longer managed by provisioning"),
    Event.SCIM_GROUP_ADDED: Sentence("Group added by provisioning"),
    Event.SCIM_GROUP_CHANGED: Sentence("Group changed by provisioning"),
    Event.SCIM_GROUP_REMOVED: Sentence("Group removed by provisioning"),
    Event.SCIM_MEMBER_ADDED: Sentence("Added to a group by provisioning"),
    Event.SCIM_MEMBER_REMOVED: Sentence("Removed from a group by provisioning"),
    Event.SCIM_REFUSED: Sentence("Provisioning request refused"),
    Event.SSO_ROLES_CHANGED: Sentence("Roles by single sign-on changed"),
    Event.SSO_ROLE_KEPT: Sentence("Last administrator kept the role"),
    Event.DOMAIN_CLAIMED: Sentence("Email domain claimed"),
    Event.DOMAIN_RELEASED: Sentence("Email domain released"),
    Event.PAGE_VIEWS_ENABLED: Sentence("Recording of page views switched on"),
    Event.PAGE_VIEWS_DISABLED: Sentence("Recording of page views switched off"),
    Event.PAGE_VIEWS_READ: Sentence("Page views of a person read"),
    Event.PAGE_VIEWS_EXPORTED: Sentence("Page views of a person exported"),
}

# Of rows that tell of one factor, by event and the detail `factor`; "" is for all others.
FAILURE_NAMES: Mapping[tuple[str, object], Sentence] = {
    (Event.LOGIN_FAILED, ""): Sentence("Password sign-in failed"),
    (Event.LOGIN_FAILED, Factor.PASSKEY): Sentence("Passkey sign-in failed"),
    (Event.LOGIN_FAILED, "sso"): Sentence("Single sign-on failed"),
    (Event.LOGIN_2FA_FAILED, ""): Sentence("Code or link rejected"),
    (Event.LOGIN_2FA_FAILED, Factor.PASSKEY): Sentence("Passkey rejected"),
}

GROUP_NAMES: Mapping[Group, Sentence] = {
    Group.FAILED_SIGN_INS: Sentence("Failed sign-ins"),
    Group.SIGN_INS: Sentence("Sign-ins"),
    Group.SIGN_OUTS: Sentence("Sign-outs"),
    Group.ACCOUNTS: Sentence("Changes to accounts"),
    Group.CREDENTIALS: Sentence("Passwords and second steps"),
    Group.ADMINISTRATION: Sentence("Changes by administrators"),
    Group.DOWNLOADS: Sentence("Downloads and reviews"),
    Group.WARNINGS: Sentence("Warnings"),
}

DAY_NAMES: Mapping[Days, Sentence] = {
    Days.TODAY: Sentence("Today"),
    Days.YESTERDAY: Sentence("Yesterday"),
    Days.LAST_7: Sentence("Last 7 days"),
    Days.LAST_30: Sentence("Last 30 days"),
    Days.ANY: Sentence("Any time"),
}

FIELD_NAMES: Mapping[str, Sentence] = {
    "day": Sentence("Period"),
    "event": Sentence("Event"),
    "person": Sentence("Email"),
    "address": Sentence("IP address"),
    "tenant": Sentence("Tenant"),
    "since": Sentence("From"),
    "until": Sentence("To"),
    "words": Sentence("Search all fields"),
    "before": Sentence("Page"),
}


def label_row(event: str, details: Details) -> Sentence:
    """Return the name of a row's event, or "" if this version doesn't know the event."""
    name = FAILURE_NAMES.get((event, details.get("factor"))) or FAILURE_NAMES.get((event, ""))
    return name or EVENT_NAMES.get(event, Sentence())


def sort_events() -> dict[Event, str]:
    """Return the names of all events in the reader's language, in its order."""
    names = {event: translate(EVENT_NAMES[event]) for event in Event}
    return dict(sorted(names.items(), key=lambda item: item[1].casefold()))
