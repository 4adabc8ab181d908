"""Audit events: everything that concerns access and permissions. All that there is to say of one is in its entry.

It is one list, and so as long as there are events. A name is part of stored rows, so it is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from gateway.model.sentence import Sentence


class Group(StrEnum):
    """What people look for in the log, as one choice. In display order; the values are part of saved addresses."""

    FAILED_SIGN_INS = "failed-sign-ins"
    SIGN_INS = "sign-ins"
    SIGN_OUTS = "sign-outs"
    ACCOUNTS = "accounts"
    CREDENTIALS = "credentials"
    ADMINISTRATION = "administration"
    DOWNLOADS = "downloads"
    WARNINGS = "warnings"


FAILED_SIGN_INS, SIGN_INS, SIGN_OUTS, ACCOUNTS, CREDENTIALS, ADMINISTRATION, DOWNLOADS, WARNINGS = Group


class Event(StrEnum):
    """Its name in the log, the groups in which people expect it, what pages call it, and what a row of it says.

    A sentence has the fields `person`, the subject of the row, and `actor`, and may use details of the row by their
    names. It has no full stop: the device may follow. A second one is for rows with an actor who is not the subject.
    An event in no group is a step on the way to one that is, or a count of repetitions.
    """

    groups: frozenset[Group]
    label: Sentence
    told: Sentence
    told_by: Sentence

    def __new__(
        cls, value: str, groups: Group | tuple[Group, ...], label: Sentence, told: Sentence, by: Sentence | None = None
    ) -> Self:
        event = str.__new__(cls, value)
        event._value_ = value
        event.groups = frozenset((groups,) if isinstance(groups, Group) else groups)
        event.label, event.told, event.told_by = label, told, by or told
        return event

    # fmt: off
    LOGIN = "login", SIGN_INS, Sentence("Signed in"), Sentence("{person} signed in")
    LOGIN_FAILED = "login_failed", FAILED_SIGN_INS, Sentence("Sign-in failed"), Sentence("Sign-in as {person} failed")
    LOGIN_LOCKOUT = ("login_lockout", (FAILED_SIGN_INS, WARNINGS), Sentence("Locked after too many failed attempts"),
        Sentence("{person} was locked after too many failed attempts"))
    LOGIN_STEP = ("login_step", (), Sentence("Sign-in step completed"),
        Sentence("{person} completed a step of signing in"))
    LOGIN_2FA_FAILED = ("login_2fa_failed", FAILED_SIGN_INS, Sentence("Second step rejected"),
        Sentence("Second step for {person} failed"))
    LOGIN_LINK_SENT = ("login_link_sent", (), Sentence("Sign-in link sent"),
        Sentence("A sign-in link was sent to {person}"), Sentence("{actor} made a sign-in link for {person}"))
    LOGIN_LINK_UNSENT = ("login_link_unsent", (FAILED_SIGN_INS, WARNINGS), Sentence("Sign-in link couldn’t be sent"),
        Sentence("Sign-in as {person} failed: the link couldn’t be sent"))
    STEP_UP = "step_up", (), Sentence("Identity re-confirmed"), Sentence("{person} confirmed their identity again")
    LOGOUT = ("logout", SIGN_OUTS, Sentence("Signed out"), Sentence("{person} signed out"),
        Sentence("{actor} signed {person} out"))
    TWO_FACTOR_ENABLED = ("2fa_enabled", CREDENTIALS, Sentence("Two-step verification turned on"),
        Sentence("{person} turned on two-step verification"))
    TWO_FACTOR_DISABLED = ("2fa_disabled", CREDENTIALS, Sentence("Two-step verification turned off"),
        Sentence("{person} turned off two-step verification"))
    TWO_FACTOR_RESET = ("2fa_reset", (ACCOUNTS, CREDENTIALS, ADMINISTRATION),
        Sentence("Two-step verification reset by an administrator"),
        Sentence("Two-step verification of {person} was reset"),
        Sentence("{actor} reset two-step verification of {person}"))
    TWO_FACTOR_CODES_REGENERATED = ("2fa_codes_regenerated", CREDENTIALS, Sentence("New backup codes created"),
        Sentence("{person} created new backup codes"))
    TWO_FACTOR_CODE_USED = ("2fa_code_used", CREDENTIALS, Sentence("Backup code used"),
        Sentence("{person} used a backup code"))
    PASSKEY_ADDED = ("passkey_added", CREDENTIALS, Sentence("Passkey added"),
        Sentence("{person} added the passkey “{passkey}”"))
    PASSKEY_RENAMED = ("passkey_renamed", CREDENTIALS, Sentence("Passkey renamed"),
        Sentence("{person} renamed a passkey to “{passkey}”"))
    PASSKEY_REMOVED = ("passkey_removed", CREDENTIALS, Sentence("Passkey removed"),
        Sentence("{person} removed the passkey “{passkey}”"))
    PASSKEY_WENT_BACK = ("passkey_went_back", WARNINGS, Sentence("Passkey used that may have been copied"),
        Sentence("{person} used the passkey “{passkey}”, which may have been copied"))
    PASSKEYS_ONLY_ENABLED = ("passkeys_only_enabled", CREDENTIALS, Sentence("Passkeys-only sign-in turned on"),
        Sentence("{person} turned on passkeys-only sign-in"))
    PASSKEYS_ONLY_DISABLED = ("passkeys_only_disabled", CREDENTIALS, Sentence("Passkeys-only sign-in turned off"),
        Sentence("{person} turned off passkeys-only sign-in"))
    FORM_KEPT = ("form_kept", (), Sentence("Form saved until sign-in was completed"),
        Sentence("A form of {person} was saved until they had signed in"))
    FORM_SENT = "form_sent", (), Sentence("Saved form submitted"), Sentence("The saved form of {person} was submitted")
    KEYS_ROTATED = ("keys_rotated", ADMINISTRATION, Sentence("Secrets re-encrypted with a new key"),
        Sentence("{person} re-encrypted the secrets with a new key"))
    MAIL_ABANDONED = ("mail_abandoned", WARNINGS, Sentence("Email couldn’t be delivered"),
        Sentence("An email to {person} couldn’t be delivered"))
    AUDIT_EXPORTED = ("audit_exported", DOWNLOADS, Sentence("Audit log downloaded"),
        Sentence("{person} downloaded the audit log"))
    AUDIT_TRIMMED = ("audit_trimmed", ADMINISTRATION, Sentence("Oldest log entries deleted"),
        Sentence("The oldest {rows} entries were deleted, as the settings say"))
    LOGIN_SPRAY_SEEN = ("login_spray_seen", WARNINGS, Sentence("Same wrong password tried on many accounts"),
        Sentence("The same wrong password was tried on many accounts"))
    REPEATED = ("repeated", (), Sentence("More of the same, counted by the minute"),
        Sentence("{times} more within a minute, {person}: {event}"))
    ADDRESS_BLOCKED = ("address_blocked", ADMINISTRATION, Sentence("IP address blocked"),
        Sentence("{person} blocked {network}"))
    ADDRESS_UNBLOCKED = ("address_unblocked", ADMINISTRATION, Sentence("IP address unblocked"),
        Sentence("{person} unblocked {network}"))
    ACCOUNT_UNLOCKED = ("account_unlocked", (ACCOUNTS, ADMINISTRATION), Sentence("Account unlocked"),
        Sentence("{person} was unlocked"), Sentence("{actor} unlocked {person}"))
    SESSION_REVOKED = ("session_revoked", SIGN_OUTS, Sentence("Device signed out"),
        Sentence("{person} signed out a device: {device}"),
        Sentence("{actor} signed out a device of {person}: {device}"))
    SESSION_REVOKED_ALL = ("session_revoked_all", SIGN_OUTS, Sentence("All devices signed out"),
        Sentence("{person} signed out all devices"), Sentence("{actor} signed {person} out on all devices"))
    PASSWORD_RESET_ASKED = ("password_reset_asked", CREDENTIALS, Sentence("Password reset requested"),
        Sentence("A new password was requested for {person}"))
    ACCOUNT_INVITED = ("account_invited", (ACCOUNTS, ADMINISTRATION), Sentence("Invitation sent"),
        Sentence("{person} was invited"), Sentence("{actor} invited {person}"))
    ACCOUNT_SIGNED_UP = "account_signed_up", ACCOUNTS, Sentence("Signed up"), Sentence("{person} signed up")
    EMAIL_CHANGE_REQUESTED = ("email_change_requested", ACCOUNTS, Sentence("Email change requested"),
        Sentence("{person} asked to change their email to {to}"),
        Sentence("{actor} asked to change the email of {person} to {to}"))
    EMAIL_CHANGE_CONFIRMED = ("email_change_confirmed", ACCOUNTS, Sentence("Email change confirmed by the new address"),
        Sentence("The new address {to} of {person} was confirmed"))
    EMAIL_CHANGE_AGREED = ("email_change_agreed", ACCOUNTS, Sentence("Email change approved by the old address"),
        Sentence("The old address of {person} approved the change to {to}"))
    EMAIL_CHANGE_STOPPED = ("email_change_stopped", (ACCOUNTS, WARNINGS),
        Sentence("Email change stopped by the old address"),
        Sentence("The old address of {person} stopped the change of email"))
    EMAIL_CHANGED = ("email_changed", ACCOUNTS, Sentence("Email changed"),
        Sentence("The email of {person} changed from {from} to {to}"),
        Sentence("{actor} changed the email of {person} from {from} to {to}"))
    EMAIL_CHANGE_UNDONE = ("email_change_undone", (ACCOUNTS, WARNINGS), Sentence("Email change undone"),
        Sentence("The change of email of {person} was undone"))
    ACCOUNT_EMAIL_CHANGE_ASKED = ("account_email_change_asked", ACCOUNTS,
        Sentence("Email change requested (before this version)"),
        Sentence("A change of email was requested for {person}"))  # in rows of 0.1.0
    ACCOUNT_EMAIL_CHANGED = ("account_email_changed", ACCOUNTS, Sentence("Email changed (before this version)"),
        Sentence("The email of {person} changed"))  # in rows of 0.1.0
    ACCOUNT_REMOVED = ("account_removed", (ACCOUNTS, ADMINISTRATION), Sentence("Account removed"),
        Sentence("The account of {person} was removed"), Sentence("{actor} removed the account of {person}"))
    ACCOUNT_RENAMED = ("account_renamed", ACCOUNTS, Sentence("Name changed"),
        Sentence("The name of {person} changed from {from} to {to}"),
        Sentence("{actor} changed the name of {person} from {from} to {to}"))
    ACCOUNT_ADDED = ("account_added", (ACCOUNTS, ADMINISTRATION), Sentence("Account added"),
        Sentence("An account was added for {person}"), Sentence("{actor} added an account for {person}"))
    ACCOUNT_ERASED = ("account_erased", (ACCOUNTS, ADMINISTRATION), Sentence("Personal data erased from the log"),
        Sentence("The personal data of a person was erased from the log"),
        Sentence("{actor} erased the personal data of a person from the log"))
    ACCOUNT_DISABLED = ("account_disabled", (ACCOUNTS, ADMINISTRATION), Sentence("Account disabled"),
        Sentence("The account of {person} was disabled"), Sentence("{actor} disabled the account of {person}"))
    ACCOUNT_ENABLED = ("account_enabled", (ACCOUNTS, ADMINISTRATION), Sentence("Account enabled"),
        Sentence("The account of {person} was enabled"), Sentence("{actor} enabled the account of {person}"))
    ACCOUNT_ROLE_CHANGED = ("account_role_changed", (ACCOUNTS, ADMINISTRATION), Sentence("Role changed"),
        Sentence("The role of {person} changed from {from} to {to}"),
        Sentence("{actor} changed the role of {person} from {from} to {to}"))
    ACCOUNT_UPDATED = ("account_updated", (ACCOUNTS, ADMINISTRATION), Sentence("Account updated by an import"),
        Sentence("The account of {person} was updated by an import"),
        Sentence("{actor} updated the account of {person} by an import"))
    PASSWORD_CHANGED = ("password_changed", CREDENTIALS, Sentence("Password changed"),
        Sentence("{person} changed their password"), Sentence("{actor} changed the password of {person}"))
    TENANT_ADDED = ("tenant_added", ADMINISTRATION, Sentence("Tenant added"),
        Sentence("{person} added the tenant {tenant}"))
    TENANT_RENAMED = ("tenant_renamed", ADMINISTRATION, Sentence("Tenant renamed"),
        Sentence("{person} renamed the tenant {tenant}"))
    TENANT_SUSPENDED = ("tenant_suspended", ADMINISTRATION, Sentence("Tenant suspended"),
        Sentence("{person} suspended the tenant {tenant}"))
    TENANT_RESUMED = ("tenant_resumed", ADMINISTRATION, Sentence("Tenant reactivated"),
        Sentence("{person} reactivated the tenant {tenant}"))
    TENANT_SIGN_IN_CHANGED = ("tenant_sign_in_changed", ADMINISTRATION, Sentence("Sign-in requirements changed"),
        Sentence("{person} changed the sign-in requirements"))
    TENANT_LANGUAGE_CHANGED = ("tenant_language_changed", ADMINISTRATION, Sentence("Language changed"),
        Sentence("{person} changed the tenant’s language"))
    SSO_CHANGED = ("sso_changed", ADMINISTRATION, Sentence("Single sign-on settings changed"),
        Sentence("{person} changed the settings of single sign-on"))
    SSO_TRIED = ("sso_tried", ADMINISTRATION, Sentence("Single sign-on tried out"),
        Sentence("{person} tried out single sign-on"))
    SSO_ENABLED = ("sso_enabled", ADMINISTRATION, Sentence("Single sign-on turned on"),
        Sentence("{person} turned on single sign-on"))
    SSO_DISABLED = ("sso_disabled", ADMINISTRATION, Sentence("Single sign-on turned off"),
        Sentence("{person} turned off single sign-on"))
    SSO_REMOVED = ("sso_removed", ADMINISTRATION, Sentence("Single sign-on removed"),
        Sentence("{person} removed single sign-on"))
    SSO_LINKED = ("sso_linked", CREDENTIALS, Sentence("Account connected to single sign-on"),
        Sentence("{person} was connected to single sign-on"))
    SSO_KEY_MADE = ("sso_key_made", ADMINISTRATION, Sentence("Signing key for single sign-on made"),
        Sentence("{person} made a signing key for single sign-on"))
    SSO_KEY_USED = ("sso_key_used", ADMINISTRATION, Sentence("Signing key for single sign-on changed"),
        Sentence("{person} changed the signing key for single sign-on"))
    SSO_KEY_REMOVED = ("sso_key_removed", ADMINISTRATION, Sentence("Signing key for single sign-on removed"),
        Sentence("{person} removed a signing key for single sign-on"))
    SSO_REQUIRED = ("sso_required", ADMINISTRATION, Sentence("Single sign-on required"),
        Sentence("{person} made single sign-on required"))
    SSO_OPTIONAL = ("sso_optional", ADMINISTRATION, Sentence("Single sign-on no longer required"),
        Sentence("{person} made single sign-on optional"))
    BREAK_GLASS_CHANGED = ("break_glass_changed", ADMINISTRATION, Sentence("Exempt administrators changed"),
        Sentence("{person} changed the exempt administrators"))
    BREAK_GLASS_USED = ("break_glass_used", WARNINGS, Sentence("Exempt administrator signed in without single sign-on"),
        Sentence("{person} signed in without single sign-on, as an exempt administrator"))
    SSO_UNLINKED = ("sso_unlinked", CREDENTIALS, Sentence("Account disconnected from single sign-on"),
        Sentence("{person} disconnected from single sign-on"),
        Sentence("{actor} disconnected {person} from single sign-on"))
    SSO_LOGOUT_REFUSED = ("sso_logout_refused", WARNINGS, Sentence("Sign-out by the identity provider rejected"),
        Sentence("A sign-out by the identity provider was rejected"))
    SCIM_TOKEN_CREATED = ("scim_token_created", ADMINISTRATION, Sentence("Provisioning token created"),
        Sentence("{person} created a provisioning token"))
    SCIM_TOKEN_REVOKED = ("scim_token_revoked", ADMINISTRATION, Sentence("Provisioning token revoked"),
        Sentence("{person} revoked a provisioning token"))
    SCIM_USER_LINKED = ("scim_user_linked", ACCOUNTS, Sentence("Account now managed by provisioning"),
        Sentence("{person} is now managed by provisioning"))
    SCIM_USER_CHANGED = ("scim_user_changed", ACCOUNTS, Sentence("Account details changed by provisioning"),
        Sentence("Provisioning changed the account of {person}"))
    SCIM_USER_UNLINKED = ("scim_user_unlinked", ACCOUNTS, Sentence("Account no longer managed by provisioning"),
        Sentence("{person} is no longer managed by provisioning"))
    SCIM_GROUP_ADDED = ("scim_group_added", ADMINISTRATION, Sentence("Group added by provisioning"),
        Sentence("Provisioning added the group “{group}”"))
    SCIM_GROUP_CHANGED = ("scim_group_changed", ADMINISTRATION, Sentence("Group changed by provisioning"),
        Sentence("Provisioning changed the group “{group}”"))
    SCIM_GROUP_REMOVED = ("scim_group_removed", ADMINISTRATION, Sentence("Group removed by provisioning"),
        Sentence("Provisioning removed the group “{group}”"))
    SCIM_MEMBER_ADDED = ("scim_member_added", ACCOUNTS, Sentence("Added to a group by provisioning"),
        Sentence("Provisioning added {person} to the group “{group}”"))
    SCIM_MEMBER_REMOVED = ("scim_member_removed", ACCOUNTS, Sentence("Removed from a group by provisioning"),
        Sentence("Provisioning removed {person} from the group “{group}”"))
    SCIM_REFUSED = ("scim_refused", WARNINGS, Sentence("Provisioning request refused"),
        Sentence("A provisioning request was refused"))
    SSO_ROLES_CHANGED = ("sso_roles_changed", ADMINISTRATION, Sentence("Roles by single sign-on changed"),
        Sentence("{person} changed the roles by single sign-on"))
    SSO_ROLE_KEPT = ("sso_role_kept", (ACCOUNTS, WARNINGS), Sentence("Last administrator kept the role"),
        Sentence("{person} kept the role of administrator, being the last one"))
    TOKEN_CREATED = ("token_created", CREDENTIALS, Sentence("API token created"),
        Sentence("{person} created the API token “{token}”"),
        Sentence("{actor} created the API token “{token}” for {person}"))
    TOKEN_REVOKED = ("token_revoked", CREDENTIALS, Sentence("API token revoked"),
        Sentence("The API token “{token}” of {person} was revoked"),
        Sentence("{actor} revoked the API token “{token}” of {person}"))
    TOKEN_REFUSED = ("token_refused", WARNINGS, Sentence("Request with an API token refused"),
        Sentence("A request with the API token “{token}” of {person} was refused"))
    TOKEN_USED_ELSEWHERE = ("token_used_elsewhere", WARNINGS, Sentence("API token used from a new network"),
        Sentence("The API token “{token}” of {person} was used from a new network"))
    NETWORK_REFUSED = ("network_refused", (FAILED_SIGN_INS, WARNINGS),
        Sentence("Refused because of the network it came from"),
        Sentence("{person} was refused: the network isn’t allowed"))
    NETWORKS_CHANGED = ("networks_changed", ADMINISTRATION, Sentence("Allowed networks changed"),
        Sentence("{person} changed the allowed networks"), Sentence("{actor} changed the allowed networks of {person}"))
    ACCOUNT_SECURED = ("account_secured", (SIGN_OUTS, ACCOUNTS, WARNINGS),
        Sentence("Everything ended after unauthorised use"),
        Sentence("{person} ended all access after unauthorised use"),
        Sentence("{actor} ended all access of {person} after unauthorised use"))
    ACCESS_EXPORTED = ("access_exported", DOWNLOADS, Sentence("List of who has access downloaded"),
        Sentence("{person} downloaded the list of who has access"))
    ACCESS_REVIEWED = ("access_reviewed", DOWNLOADS, Sentence("Access of all people reviewed"),
        Sentence("{person} reviewed the access of all people"))
    DOMAIN_CLAIMED = ("domain_claimed", ADMINISTRATION, Sentence("Email domain claimed"),
        Sentence("{person} claimed the email domain {domain}"))
    DOMAIN_RELEASED = ("domain_released", ADMINISTRATION, Sentence("Email domain released"),
        Sentence("{person} released the email domain {domain}"))
    PAGE_VIEWS_ENABLED = ("page_views_enabled", ADMINISTRATION, Sentence("Recording of page views switched on"),
        Sentence("{person} switched on the recording of page views"))
    PAGE_VIEWS_DISABLED = ("page_views_disabled", ADMINISTRATION, Sentence("Recording of page views switched off"),
        Sentence("{person} switched off the recording of page views"))
    PAGE_VIEWS_READ = ("page_views_read", DOWNLOADS, Sentence("Page views of a person read"),
        Sentence("The page views of {person} were read"), Sentence("{actor} read the page views of {person}"))
    PAGE_VIEWS_EXPORTED = ("page_views_exported", DOWNLOADS, Sentence("Page views of a person exported"),
        Sentence("The page views of {person} were exported"), Sentence("{actor} exported the page views of {person}"))
    # fmt: on


EVENTS: Mapping[str, Event] = {event.value: event for event in Event}  # by their names in rows
GROUPS: Mapping[Group, frozenset[Event]] = {
    group: frozenset(event for event in Event if group in event.groups) for group in Group
}
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
