"""Makes every object once, from the settings.

A worker, a shell command and `explain` ask the same `Services` for what they use; what is not asked for is not made.
The routes of each noun say what its pages are built from (see app/nouns.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

from gateway.accounts.csv_import.importer import Importer, Quota
from gateway.accounts.email_change import Addresses, EmailChanges
from gateway.accounts.invitations import Invitations
from gateway.accounts.people import PeopleService
from gateway.app.nouns import ROUTES
from gateway.audit.keeping import Keeper
from gateway.audit.marks import Signer
from gateway.crypto import keys
from gateway.crypto.hashing import Hasher
from gateway.crypto.sealing import Sealer
from gateway.devices.new_device import NewDevices
from gateway.devices.revoke_link import RevokeLinks
from gateway.devices.service import DeviceService
from gateway.dispatch.forms.service import KeptForms
from gateway.edge.origin import TrustedProxies, origins_of
from gateway.edge.request import Reader
from gateway.factors.backup_code import BackupCodeFactor
from gateway.factors.magic_link import MagicLinkFactor
from gateway.factors.totp import TOTPFactor
from gateway.login.answers import Answers
from gateway.login.counting import Count, SignInCounts
from gateway.login.flow import Flow
from gateway.login.guard import Guard
from gateway.login.links import LinkSender
from gateway.login.next_factor import NextFactor
from gateway.login.security import SecurityService
from gateway.login.service import SignInService
from gateway.mail.compose import Composer
from gateway.mail.notices import Notices
from gateway.mail.outbox import Outbox
from gateway.mail.sender import Sender
from gateway.mail.smtp import Mailer
from gateway.model.clock import Clock, utc
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.model.session import Lifetime, Lifetimes
from gateway.observe.families import Result
from gateway.observe.refusals import Scarce
from gateway.ops.failed_passwords import FailedPasswords
from gateway.ops.service import AttackService
from gateway.passwords.changes import PasswordService
from gateway.passwords.service import PasswordChecker, checker_of
from gateway.policy.decision import Rules
from gateway.proxy.identity import Assertions, Identities
from gateway.sessions import attempt
from gateway.sessions.reach import Reaches
from gateway.settings.record import Lifespan, Settings
from gateway.signup.service import SignupService
from gateway.store import Store
from gateway.tenants.pages import TenantService
from gateway.throttle.limits import Limit
from gateway.throttle.side_work import SideWork
from gateway.web.guards import Guards
from gateway.web.rendering import Renderer
from gateway.web.return_to import DeadEnds
from gateway.web.routes import Route, Urls, add_pages, find_dead_ends, serve
from gateway.web.static_files import StaticFiles

Refused = Callable[[Scarce, str, bool], None]  # what was refused, to which client, and whether it has others


def refuse_uncounted(what: Scarce, client: str, is_own: bool) -> None:
    """Where nothing is counted, as in a shell."""


def count_nothing(factor: Factor, result: Result) -> None:
    """The same of sign-ins."""


class Services:
    """`store` is one that is open already; without it, one is opened when it is asked for. `clock` tells all of it
    the time.

    The caller closes it, and what runs threads: hasher, checker and side work.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store | None = None,
        refused: Refused = refuse_uncounted,
        count_sign_in: Count = count_nothing,
        clock: Clock = utc,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.product = settings.pages.product
        self.sign_in_counts = SignInCounts(count_sign_in)
        self._given_store = store
        self._refused = refused

    @cached_property
    def store(self) -> Store:
        """Raises StoreUnavailable if its file can't be made."""
        return self._given_store or Store.open(self.settings.store.url)

    # Where things are.

    @cached_property
    def routes(self) -> Mapping[str, Route[Any]]:
        """The routes that are served, by name."""
        return serve(ROUTES, self.settings)

    @cached_property
    def url(self) -> Urls:
        return Urls(ROUTES, self.settings)

    @cached_property
    def rules(self) -> Rules:
        return add_pages(self.settings.access.rules, self.routes)

    @cached_property
    def dead_ends(self) -> DeadEnds:
        return find_dead_ends(ROUTES, self.settings)

    @cached_property
    def origins(self) -> frozenset[str]:
        """The origins of the site: that of public_url, and those of the other hosts."""
        public = urlsplit(self.settings.public_url)
        return origins_of(public.scheme, (public.netloc, *self.settings.hosts))

    @cached_property
    def steps(self) -> Mapping[Factor, str]:
        """The path of the page where each factor is proved."""
        return {
            Factor.PASSWORD: self.url("login"),
            Factor.TOTP: self.url("totp"),
            Factor.BACKUP_CODE: self.url("backup"),
            Factor.MAGIC_LINK: self.url("link"),
        }

    # Requests.

    def reader(self, on_unreadable: Callable[[str, str], None] = lambda proxy, entry: None) -> Reader:
        """Return what judges request heads; also those that `explain` makes up.

        `on_unreadable` is told of proxies that write no address into X-Forwarded-For (see Reader).
        """
        settings = self.settings
        public = urlsplit(settings.public_url)
        return Reader(
            scheme=public.scheme,
            authorities=(public.netloc, *settings.hosts),
            proxies=TrustedProxies(settings.listen.trusted_proxies),
            session_cookie=settings.sessions.cookie,
            attempt_cookie=attempt.COOKIE,
            identity_names=(*settings.identity.names.values(), *settings.identity.headers, *settings.identity.strip),
            max_fields=settings.listen.max_fields,
            max_target_bytes=settings.listen.max_target_bytes,
            question_path=self.url("auth") if self.url.serves("auth") else "",
            on_unreadable=on_unreadable,
            carriers=self.steps.values(),
        )

    @cached_property
    def identities(self) -> Identities:
        settings = self.settings
        assertions = Assertions(
            key=keys.assertion_key(settings.secrets[0]),
            issuer=settings.public_url.rstrip("/"),
            audience=settings.upstream.audience,
        )
        identity = settings.identity
        return Identities(identity.names, identity.user == "email", assertions, identity.headers, settings.credentials)

    # Secrets and mails.

    @cached_property
    def sealer(self) -> Sealer:
        return Sealer(self.settings.secrets)

    @cached_property
    def composer(self) -> Composer:
        pages = self.settings.pages
        return Composer(
            product=pages.product,
            accent=pages.accent,
            support=pages.support,
            language=pages.language,
            public_url=self.settings.public_url,
            sender=self.settings.mail.sender,
        )

    @cached_property
    def mailer(self) -> Mailer:
        mail = self.settings.mail
        return Mailer(
            host=mail.host,
            port=mail.port,
            security=mail.security,
            username=mail.username,
            password=self.settings.mail_password,
            seconds=mail.seconds,
            ca_file=mail.ca_file,
        )

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self.composer, self.sealer, is_on=self.settings.mail.is_on)

    @cached_property
    def sender(self) -> Sender:
        return Sender(self.store, self.mailer, self.sealer)

    @cached_property
    def notices(self) -> Notices:
        return Notices(self.outbox, self.url.address("security"))

    # Signing in.

    @cached_property
    def lifetimes(self) -> Lifetimes:
        def lifetime(lifespan: Lifespan) -> Lifetime:
            return Lifetime(lifespan.idle_seconds, lifespan.absolute_seconds)

        return Lifetimes(lifetime(self.settings.sessions.members), lifetime(self.settings.sessions.owners))

    @cached_property
    def hasher(self) -> Hasher:
        limits = self.settings.limits
        return Hasher(
            method=f"{limits.hashing_method}:{limits.hashing_iterations}",
            threads=limits.hashing_threads,
            queue=limits.hashing_queue,
            refused=partial(self._refused, Scarce.HASHING),
        )

    @cached_property
    def password_limit(self) -> Limit:
        limits = self.settings.limits
        return Limit(limits.password_failures, limits.password_window_seconds, limits.password_lock_seconds)

    @cached_property
    def totp(self) -> TOTPFactor:
        return TOTPFactor(self.sealer)

    @cached_property
    def backup_codes(self) -> BackupCodeFactor:
        return BackupCodeFactor(self.sealer)

    @cached_property
    def magic_links(self) -> MagicLinkFactor:
        newest, *older = (Secret(keys.derive(secret, "magic-link/code", 32)) for secret in self.settings.secrets)
        return MagicLinkFactor(newest, older)

    @cached_property
    def revoke_links(self) -> RevokeLinks:
        return RevokeLinks(self.settings.secrets, self.url.address("device_revoke", token=""))

    @cached_property
    def flow(self) -> Flow:
        limits = self.settings.limits
        return Flow(
            store=self.store,
            guard=Guard(Limit(limits.code_failures, limits.code_window_seconds, limits.code_lock_seconds)),
            owners=self.settings.access.owners,
            notices=self.notices,
            new_devices=NewDevices(self.notices, self.revoke_links, self.url.address("sessions")),
            totp_factor=self.totp,
            backup_codes=self.backup_codes,
            magic_links=self.magic_links,
        )

    @cached_property
    def answers(self) -> Answers:
        return Answers(
            steps=self.steps,
            dead_ends=self.dead_ends,
            cookie=self.settings.sessions.cookie,
            lifetimes=self.lifetimes,
            clear_path=self.url("clear"),
        )

    @cached_property
    def sign_in(self) -> SignInService:
        return SignInService(
            store=self.store,
            hasher=self.hasher,
            limit=self.password_limit,
            flow=self.flow,
            failed_passwords=FailedPasswords(self.settings.secrets[0]),
            queue=self.settings.limits.hashing_queue,
        )

    @cached_property
    def security(self) -> SecurityService:
        return SecurityService(store=self.store, flow=self.flow, backup_codes=self.backup_codes, notices=self.notices)

    @cached_property
    def link_sender(self) -> LinkSender:
        return LinkSender(self.store, self.outbox, self.sender, self.url.address("link_opened", token=""))

    @cached_property
    def next_factor(self) -> NextFactor:
        return NextFactor(self.answers, self.link_sender)

    @cached_property
    def kept_forms(self) -> KeptForms:
        return KeptForms(self.store, self.sealer, self.lifetimes, self.settings.access.owners)

    # People.

    @cached_property
    def checker(self) -> PasswordChecker:
        """What judges new passwords. Raises NoBreachList if the list has gone meanwhile."""
        return checker_of(self.settings.passwords, partial(self._refused, Scarce.PASSWORDS))

    @cached_property
    def password_changes(self) -> PasswordService:
        return PasswordService(
            store=self.store,
            hasher=self.hasher,
            checker=self.checker,
            sealer=self.sealer,
            outbox=self.outbox,
            notices=self.notices,
            limit=self.password_limit,
            product=self.product,
            reset_address=self.url.address("reset", token=""),
        )

    @cached_property
    def signup(self) -> SignupService:
        return SignupService(
            store=self.store,
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
        return DeviceService(self.store, self.notices, self.lifetimes)

    @cached_property
    def tenants(self) -> TenantService:
        return TenantService(self.store)

    @cached_property
    def people(self) -> PeopleService:
        return PeopleService(
            store=self.store,
            notices=self.notices,
            invitations=self.invitations,
            email_changes=self.email_changes,
            owners=self.settings.access.owners,
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
            notices=self.notices,
            owners=self.settings.access.owners,
            limit=self.password_limit,
            addresses=Addresses(*(address(name, token="") for name in ("email_confirm", "email_old", "email_undo"))),
        )

    @cached_property
    def importer(self) -> Importer:
        limits = self.settings.limits
        quota = Quota(limits.uploads_per_day, limits.upload_bytes_per_day)
        return Importer(self.store, self.invitations, self.settings.access.owners, quota)

    @cached_property
    def reaches(self) -> Reaches:
        return Reaches(self.store, self.settings.access.owners, self.lifetimes)

    # The log, and what is watched.

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
            outbox=self.outbox,
            owners=self.settings.access.owners,
            many=self.settings.audit.spray_accounts,
            ops_link=self.url.address("ops"),
        )

    # Pages.

    @cached_property
    def static_files(self) -> StaticFiles:
        return StaticFiles(self.settings.pages.accent)

    @cached_property
    def renderer(self) -> Renderer:
        is_https = self.settings.public_url.startswith("https:")
        return Renderer(self.settings.pages, self.url, is_https=is_https, version=self.static_files.version)

    @cached_property
    def guards(self) -> Guards:
        return Guards(
            renderer=self.renderer,
            steps=self.answers,
            url=self.url,
            has_mail=self.settings.mail.is_on,
            find_block=self.attacks.find_block,
        )

    @cached_property
    def side(self) -> SideWork:
        return SideWork()
