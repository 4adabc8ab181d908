"""Makes every object once, from the settings.

Workers, commands and `explain` get their objects from `Services`. Each is made when it is first used. A noun's routes
declare what its pages need (see app/nouns.py). Long because it is a list of them all.
"""

from __future__ import annotations

import socket
from functools import cached_property, partial

from gateway.access_review.service import AccessReviews
from gateway.accounts.csv_import.importer import Importer, Quota
from gateway.accounts.email_change import Addresses, EmailChanges
from gateway.accounts.invitations import Invitations
from gateway.accounts.people import PeopleService
from gateway.app.factors import FACTORS
from gateway.app.foundation import Foundation
from gateway.audit.keeping import Keeper
from gateway.audit.marks import Signer
from gateway.compromised.ends import Replacement
from gateway.compromised.service import SecuringService
from gateway.crypto import keys
from gateway.devices.new_device import NewDevices
from gateway.devices.revoke_link import RevokeLinks
from gateway.devices.service import DeviceService
from gateway.dispatch.forms.service import KeptForms
from gateway.factors.contract import Factors, Folder
from gateway.login.answers import Answers
from gateway.login.flow import Flow
from gateway.login.guard import Guard
from gateway.login.security import SecurityService
from gateway.login.service import SignInService
from gateway.model.secret import Secret
from gateway.networks.refusals import NetworkRefusals
from gateway.networks.service import NetworkService
from gateway.observe.refusals import Scarce
from gateway.ops.conditions import HealthWatch
from gateway.ops.dashboard import Dashboard
from gateway.ops.failed_passwords import FailedPasswords
from gateway.ops.figures import StoreFigures
from gateway.ops.health import HealthCheck
from gateway.ops.service import AttackService
from gateway.page_views.service import PageViewService
from gateway.passwords.changes import PasswordService
from gateway.passwords.service import PasswordChecker, checker_of
from gateway.person.service import PersonService
from gateway.preferences.service import PreferenceService
from gateway.scim.admission import Admission
from gateway.scim.expiry import ProvisioningWarnings
from gateway.scim.group_rows import handles_of
from gateway.scim.groups import GroupService
from gateway.scim.tokens import TokenService
from gateway.scim.users import UserService
from gateway.sessions.reach import Reaches
from gateway.signup.service import SignupService
from gateway.sso.admin import ProviderService
from gateway.sso.arrival import Arrivals
from gateway.sso.connection import ConnectionService
from gateway.sso.domains.lookup import Lookup
from gateway.sso.domains.service import DomainService
from gateway.sso.keys.expiry import ExpiryWarnings
from gateway.sso.keys.service import KeyService
from gateway.sso.leaving import Leaving
from gateway.sso.oidc.exchange import Exchange
from gateway.sso.oidc.fetching import Fetcher
from gateway.sso.oversight import Oversight
from gateway.sso.required import Requirement
from gateway.sso.roles.admin import RoleService
from gateway.sso.roles.follow import Follower
from gateway.sso.sign_on import SignOn
from gateway.tenants.pages import TenantService
from gateway.tenants.sign_in import SignInService as TenantSignInService
from gateway.throttle.limits import Limit
from gateway.tokens.expiry import TokenWarnings
from gateway.tokens.service import APITokens
from gateway.tokens.service_accounts import ServiceAccounts
from gateway.tokens.uses import TokenUses
from gateway.web.carried_email import CarriedEmail
from gateway.web.carried_form import CarriedForm
from gateway.web.guards import Guards


class Services(Foundation):
    """The nouns' services. The caller closes those with threads: hasher, checker and side.

    Long because it is a list of them all.
    """

    # Signing in.

    @cached_property
    def password_limit(self) -> Limit:
        limits = self.settings.limits
        return Limit(limits.password_failures, limits.password_window_seconds, limits.password_lock_seconds)

    @cached_property
    def code_limit(self) -> Limit:
        limits = self.settings.limits
        return Limit(limits.code_failures, limits.code_window_seconds, limits.code_lock_seconds)

    @cached_property
    def factors(self) -> Factors:
        folders: tuple[Folder[Services], ...] = FACTORS
        return Factors(folder.build(self) for folder in folders)

    @cached_property
    def revoke_links(self) -> RevokeLinks:
        return RevokeLinks(self.settings.secrets, self.url.address("device_revoke", token=""))

    @cached_property
    def flow(self) -> Flow:
        return Flow(
            store=self.store,
            actions=self.actions,
            guard=Guard(self.code_limit),
            policy=self.settings.factor_policy,
            new_devices=NewDevices(self.revoke_links, self.url.address("sessions")),
            factors=self.factors,
        )

    @cached_property
    def answers(self) -> Answers:
        return Answers(
            steps=self.steps,
            dead_ends=self.dead_ends,
            cookie=self.settings.sessions.cookie,
            lifetimes=self.lifetimes,
            clear_path=self.url("clear"),
            challenge=self.flow.challenge,
            carried=CarriedEmail(self.settings.secrets),
        )

    @cached_property
    def sign_in(self) -> SignInService:
        return SignInService(
            actions=self.actions,
            hasher=self.hasher,
            limit=self.password_limit,
            flow=self.flow,
            failed_passwords=FailedPasswords(self.settings.secrets[0]),
            queue=self.settings.limits.hashing_queue,
        )

    @cached_property
    def security(self) -> SecurityService:
        return SecurityService(store=self.store, actions=self.actions, flow=self.flow, factors=self.factors)

    @cached_property
    def kept_forms(self) -> KeptForms:
        return KeptForms(self.store, self.actions, self.sealer, self.lifetimes, self.settings.access.owners)

    # People.

    @cached_property
    def checker(self) -> PasswordChecker:
        """Checks new passwords. Raises NoBreachList if the breach list is missing."""
        return checker_of(self.settings.passwords, partial(self._refused, Scarce.PASSWORDS))

    @cached_property
    def password_changes(self) -> PasswordService:
        return PasswordService(
            store=self.store,
            hasher=self.hasher,
            checker=self.checker,
            sealer=self.sealer,
            outbox=self.outbox,
            actions=self.actions,
            limit=self.password_limit,
            factors=self.factors,
            product=self.product,
            policy=self.settings.factor_policy,
            reset_address=self.url.address("reset", token=""),
            login_address=self.url.address("login"),
        )

    @cached_property
    def signup(self) -> SignupService:
        return SignupService(
            store=self.store,
            actions=self.actions,
            hasher=self.hasher,
            checker=self.checker,
            sealer=self.sealer,
            outbox=self.outbox,
            settings=self.settings.signup,
            owners=self.settings.access.owners,
            product=self.product,
            confirm_address=self.url.address("signup_confirm", token=""),
            login_address=self.url.address("login"),
        )

    @cached_property
    def devices(self) -> DeviceService:
        return DeviceService(self.store, self.actions, self.lifetimes)

    @cached_property
    def page_views(self) -> PageViewService:
        settings = self.settings
        return PageViewService(self.store, self.actions, settings.page_views.keep_days, settings.access.owners)

    @cached_property
    def replacement(self) -> Replacement:
        reset_address = self.url.address("reset", token="")
        return Replacement(self.factors, self.settings.factor_policy, self.sealer, reset_address)

    @cached_property
    def securing(self) -> SecuringService:
        return SecuringService(
            store=self.store,
            actions=self.actions,
            hasher=self.hasher,
            people=self.people,
            replacement=self.replacement,
        )

    @cached_property
    def access_reviews(self) -> AccessReviews:
        return AccessReviews(
            store=self.store,
            actions=self.actions,
            people=self.people,
            factors=self.factors,
            owners=self.settings.access.owners,
        )

    @cached_property
    def tenants(self) -> TenantService:
        return TenantService(self.store, self.actions)

    @cached_property
    def exchange(self) -> Exchange:
        allows_private = self.settings.sso.private_networks
        return Exchange(Fetcher(allows_private=allows_private), self.clock, allows_private=allows_private)

    @cached_property
    def sign_on(self) -> SignOn:
        return SignOn(
            store=self.store,
            actions=self.actions,
            flow=self.flow,
            sealer=self.sealer,
            key=Secret(keys.derive(self.settings.secrets[0], "sso/attempt", 32)),
            exchange=self.exchange,
            arrivals=self.arrivals,
            follower=self.follower,
            limit=self.code_limit,
            callback=lambda tenant: self.url.address("sso_callback", tenant=tenant),
        )

    @cached_property
    def arrivals(self) -> Arrivals:
        return Arrivals(
            store=self.store,
            actions=self.actions,
            sealer=self.sealer,
            outbox=self.outbox,
            policy=self.settings.factor_policy,
            follower=self.follower,
            link=self.url.address("sso_link", token=""),
        )

    @cached_property
    def leaving(self) -> Leaving:
        return Leaving(
            store=self.store,
            actions=self.actions,
            sealer=self.sealer,
            exchange=self.exchange,
            limit=self.code_limit,
            back=self.url.address("login"),
        )

    @cached_property
    def follower(self) -> Follower:
        return Follower(self.settings.access.owners, self.factors, handles_of)

    @cached_property
    def roles(self) -> RoleService:
        return RoleService(self.store, self.actions, self.sealer, self.follower)

    @cached_property
    def providers(self) -> ProviderService:
        return ProviderService(self.store, self.actions, self.sealer)

    @cached_property
    def tokens(self) -> APITokens:
        return APITokens(self.store, self.actions)

    @cached_property
    def token_uses(self) -> TokenUses:
        return TokenUses(self.actions)

    @cached_property
    def network_refusals(self) -> NetworkRefusals:
        return NetworkRefusals(self.actions)

    @cached_property
    def networks(self) -> NetworkService:
        return NetworkService(self.store, self.actions, self.settings.factor_policy)

    @cached_property
    def preferences(self) -> PreferenceService:
        return PreferenceService(self.store, self.actions)

    @cached_property
    def service_accounts(self) -> ServiceAccounts:
        return ServiceAccounts(self.store, self.actions)

    @cached_property
    def client_keys(self) -> KeyService:
        return KeyService(self.store, self.actions, self.sealer)

    @cached_property
    def expiry_warnings(self) -> ExpiryWarnings:
        return ExpiryWarnings(self.store, self.actions, self.url.address("admin_sso_key"))

    @cached_property
    def token_warnings(self) -> TokenWarnings:
        address, owners = self.url.address, self.settings.access.owners
        return TokenWarnings(self.store, self.actions, address("tokens"), address("admin_service"), owners)

    @cached_property
    def provisioning_warnings(self) -> ProvisioningWarnings:
        return ProvisioningWarnings(self.store, self.actions, self.url.address("admin_sso_provisioning"))

    @cached_property
    def requirement(self) -> Requirement:
        return Requirement(self.store, self.actions, self.sealer, self.settings.factor_policy)

    @cached_property
    def domains(self) -> DomainService:
        return DomainService(self.store, self.actions, Lookup(self.settings.sso.resolver), self.settings.signup)

    @cached_property
    def connections(self) -> ConnectionService:
        return ConnectionService(self.store, self.actions)

    @cached_property
    def oversight(self) -> Oversight:
        return Oversight(self.store, self.actions)

    @cached_property
    def scim_admission(self) -> Admission:
        return Admission(self.store, self.actions)

    @cached_property
    def scim_users(self) -> UserService:
        return UserService(self.scim_admission, self.email_changes, self.factors, self.settings.access.owners)

    @cached_property
    def scim_groups(self) -> GroupService:
        return GroupService(self.scim_admission)

    @cached_property
    def scim_tokens(self) -> TokenService:
        return TokenService(self.store, self.actions)

    @cached_property
    def tenant_sign_in(self) -> TenantSignInService:
        return TenantSignInService(self.store, self.actions, self.settings.factor_policy)

    @cached_property
    def people(self) -> PeopleService:
        return PeopleService(
            store=self.store,
            actions=self.actions,
            invitations=self.invitations,
            email_changes=self.email_changes,
            owners=self.settings.access.owners,
            factors=self.factors,
        )

    @cached_property
    def persons(self) -> PersonService:
        return PersonService(
            store=self.store,
            actions=self.actions,
            people=self.people,
            factors=self.factors,
            policy=self.settings.factor_policy,
            lifetimes=self.lifetimes,
        )

    @cached_property
    def invitations(self) -> Invitations:
        return Invitations(self.outbox, self.sealer, self.url.address("invite", token=""))

    @cached_property
    def email_changes(self) -> EmailChanges:
        address = self.url.address
        return EmailChanges(
            store=self.store,
            hasher=self.hasher,
            sealer=self.sealer,
            outbox=self.outbox,
            actions=self.actions,
            owners=self.settings.access.owners,
            limit=self.password_limit,
            addresses=Addresses(*(address(name, token="") for name in ("email_confirm", "email_old", "email_undo"))),
            factors=self.factors,
        )

    @cached_property
    def importer(self) -> Importer:
        quota = Quota(self.settings.limits.uploads_per_day, self.settings.limits.upload_bytes_per_day)
        return Importer(self.store, self.actions, self.invitations, self.settings.access.owners, quota)

    @cached_property
    def reaches(self) -> Reaches:
        return Reaches(self.store, self.settings.access.owners, self.lifetimes)

    # The audit log, and attacks.

    @cached_property
    def keeper(self) -> Keeper:
        audit = self.settings.audit
        return Keeper(
            store=self.store,
            signer=Signer(self.settings.secrets),
            outbox=self.outbox,
            checkpoint_file=audit.checkpoint_file,
            checkpoint_mail=audit.checkpoint_mail,
            keep_days=audit.keep_days,
        )

    @cached_property
    def attacks(self) -> AttackService:
        return AttackService(
            store=self.store,
            actions=self.actions,
            outbox=self.outbox,
            side=self.side,
            owners=self.settings.access.owners,
            many=self.settings.audit.spray_accounts,
            ops_link=self.url.address("ops"),
        )

    # Operations.

    @cached_property
    def health(self) -> HealthCheck:
        settings = self.settings
        return HealthCheck(
            store=self.store,
            store_url=settings.store.url,
            upstream=settings.upstream.address,
            mail_server=f"{settings.mail.host}:{settings.mail.port}" if settings.mail.is_on else "",
            outbox_seconds=settings.admin.ready_outbox_seconds,
            clock=self.clock,
        )

    @cached_property
    def store_figures(self) -> StoreFigures:
        return StoreFigures(self.store, self.settings.access.owners, self.lifetimes, self.clock)

    @cached_property
    def health_watch(self) -> HealthWatch:
        return HealthWatch(self.store, self.health, socket.gethostname())

    @cached_property
    def dashboard(self) -> Dashboard:
        return Dashboard(self.store, self.attacks, self.health_watch, self.store_figures, self.factors.has_way_in)

    # Pages.

    @cached_property
    def guards(self) -> Guards:
        return Guards(
            renderer=self.renderer,
            steps=self.answers,
            url=self.url,
            has_mail=self.settings.mail.is_on,
            find_block=self.attacks.find_block,
            carried=CarriedForm(self.settings.secrets),
        )
