"""Makes every object once, from the settings.

A worker, a shell command and `explain` ask the same `Services` for what they use; what is not asked for is not made.
Pages and the handlers of their routes are made in app/handlers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from urllib.parse import urlsplit

from gateway.accounts.csv_import.importer import Importer, Quota
from gateway.accounts.email_change import Addresses, EmailChanges
from gateway.accounts.invitations import Invitations
from gateway.audit.keeping import Keeper
from gateway.audit.marks import Signer
from gateway.crypto import keys
from gateway.crypto.hashing import Hasher
from gateway.crypto.sealing import Sealer
from gateway.devices.new_device import NewDevices
from gateway.devices.revoke_link import RevokeLinks
from gateway.dispatch.forms.service import KeptForms
from gateway.edge.origin import TrustedProxies, origins_of
from gateway.edge.request import Reader
from gateway.factors.backup_code import BackupCodeFactor
from gateway.factors.magic_link import MagicLinkFactor
from gateway.factors.totp import TOTPFactor
from gateway.login.answers import Answers
from gateway.login.flow import Flow
from gateway.login.guard import Guard
from gateway.mail.compose import Composer
from gateway.mail.notices import Notices
from gateway.mail.outbox import Outbox
from gateway.mail.sender import Sender
from gateway.mail.smtp import Mailer
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.model.session import Lifetime, Lifetimes
from gateway.observe.refusals import Scarce
from gateway.ops.service import AttackService
from gateway.passwords.service import PasswordChecker, checker_of
from gateway.policy.decision import Rules
from gateway.proxy.identity import Assertions, Identities
from gateway.sessions import attempt
from gateway.sessions.reach import Reaches
from gateway.settings.record import Lifespan, Settings
from gateway.store import Store
from gateway.throttle.limits import Limit
from gateway.throttle.side_work import SideWork
from gateway.web.rendering import Renderer
from gateway.web.return_to import DeadEnds
from gateway.web.routes import Route, dead_ends_of, paths_of, routes_of, rules_of

Refused = Callable[[Scarce, str, bool], None]  # what was refused, to which client, and whether it has others


def count_nothing(what: Scarce, client: str, is_own: bool) -> None:
    """Where nothing is counted, as in a shell."""


class Services:
    """`store` is one that is open already; without it, one is opened when it is asked for.

    The caller closes it, and what runs threads: hasher, checker and side work.
    """

    def __init__(self, settings: Settings, store: Store | None = None, refused: Refused = count_nothing) -> None:
        self.settings = settings
        self._given_store = store
        self._refused = refused

    @cached_property
    def store(self) -> Store:
        """Raises StoreUnavailable if its file can't be made."""
        return self._given_store or Store.open(self.settings.store.url)

    # Where things are.

    @cached_property
    def routes(self) -> Mapping[str, Route]:
        """The routes that are served, by name."""
        return routes_of(self.settings)

    @cached_property
    def paths(self) -> Mapping[str, str]:
        """The path of every page, by the name of its route, without its variable."""
        return paths_of(self.settings)

    @cached_property
    def rules(self) -> Rules:
        return rules_of(self.settings)

    @cached_property
    def dead_ends(self) -> DeadEnds:
        return dead_ends_of(self.settings)

    @cached_property
    def origins(self) -> frozenset[str]:
        """The origins of the site: that of public_url, and those of the other hosts."""
        public = urlsplit(self.settings.public_url)
        return origins_of(public.scheme, (public.netloc, *self.settings.hosts))

    @cached_property
    def steps(self) -> Mapping[Factor, str]:
        """The path of the page where each factor is proved."""
        return {
            Factor.PASSWORD: self.paths["login"],
            Factor.TOTP: self.paths["totp"],
            Factor.BACKUP_CODE: self.paths["backup"],
            Factor.MAGIC_LINK: self.paths["link"],
        }

    def address(self, name: str) -> str:
        """Return the whole address of a page; of one that ends in a token, up to it."""
        return self.settings.public_url + self.paths[name]

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
            question_path=self.routes["auth"].path if "auth" in self.routes else "",
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
        return Notices(self.outbox, self.address("security"))

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
        return RevokeLinks(self.settings.secrets, self.address("device_revoke"))

    @cached_property
    def flow(self) -> Flow:
        limits = self.settings.limits
        return Flow(
            store=self.store,
            guard=Guard(Limit(limits.code_failures, limits.code_window_seconds, limits.code_lock_seconds)),
            owners=self.settings.access.owners,
            notices=self.notices,
            new_devices=NewDevices(self.notices, self.revoke_links, self.address("sessions")),
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
            clear_path=self.paths["clear"],
        )

    @cached_property
    def kept_forms(self) -> KeptForms:
        return KeptForms(self.store, self.sealer, self.lifetimes, self.settings.access.owners)

    # People.

    @cached_property
    def checker(self) -> PasswordChecker:
        """What judges new passwords. Raises NoBreachList if the list has gone meanwhile."""
        return checker_of(self.settings.passwords, partial(self._refused, Scarce.PASSWORDS))

    @cached_property
    def invitations(self) -> Invitations:
        return Invitations(self.outbox, self.sealer, self.address("invite"))

    @cached_property
    def email_changes(self) -> EmailChanges:
        return EmailChanges(
            store=self.store,
            hasher=self.hasher,
            sealer=self.sealer,
            outbox=self.outbox,
            notices=self.notices,
            owners=self.settings.access.owners,
            limit=self.password_limit,
            addresses=Addresses(*(self.address(name) for name in ("email_confirm", "email_old", "email_undo"))),
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
            ops_link=self.address("ops"),
        )

    # Pages.

    @cached_property
    def renderer(self) -> Renderer:
        return Renderer(
            self.settings.pages,
            is_https=self.settings.public_url.startswith("https:"),
            sign_out_path=self.routes["logout"].path,
            security_path=self.paths["security"],
            people_path=self.paths["accounts"],
            operations_path=self.paths["ops"],
            static_path=self.routes["static"].path.removesuffix("{name}"),
        )

    @cached_property
    def side(self) -> SideWork:
        return SideWork()
