"""Makes the objects that all nouns use, once each: store, URLs, request parsing, secrets, mails, page framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

from gateway.actions.action import Actions
from gateway.app.factors import DONE, FACTORS, MEANS, NAMES
from gateway.app.nouns import ROUTES
from gateway.crypto import keys
from gateway.crypto.hashing import Hasher
from gateway.crypto.sealing import Sealer
from gateway.edge.origin import TrustedProxies, origins_of
from gateway.edge.request import Reader
from gateway.factors.contract import Done
from gateway.languages.reader import Readers
from gateway.login.counting import Count, SignInCounts
from gateway.mail.compose import Composer
from gateway.mail.notices import Notices
from gateway.mail.outbox import Outbox
from gateway.mail.sender import Sender
from gateway.mail.smtp import Mailer
from gateway.model.clock import Clock, utc
from gateway.model.factor import Factor
from gateway.model.sentence import Sentence
from gateway.model.session import Lifetime, Lifetimes
from gateway.observe.families import Result
from gateway.observe.refusals import Scarce
from gateway.policy.decision import Rules
from gateway.proxy.assertion import Assertions
from gateway.proxy.identity import Identities
from gateway.sessions import attempt
from gateway.settings.record import ASSERTION_NAME, Lifespan, Settings
from gateway.store import Store
from gateway.throttle.side_work import SideWork
from gateway.web.navigation import Navigation
from gateway.web.rendering import Renderer
from gateway.web.return_to import DeadEnds
from gateway.web.routes import Route, Urls, add_pages, find_dead_ends, serve
from gateway.web.static_files import StaticFiles

Refused = Callable[[Scarce, str, bool], None]  # with resource, client, and whether the client holds a share


def ignore_refusal(what: Scarce, client: str, is_own: bool) -> None:
    """Ignore a refusal; commands have no metrics."""


def ignore_sign_in(factor: Factor, result: Result) -> None:
    """Ignore a sign-in; commands have no metrics."""


class Foundation:
    """Makes each object when it is first used. Without `store`, one is opened then; the caller closes it.

    `clock` is used by all objects.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store | None = None,
        refused: Refused = ignore_refusal,
        count_sign_in: Count = ignore_sign_in,
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
        """Raises StoreUnavailable if the file can't be created."""
        return self._given_store or Store.open(self.settings.store.url)

    # Addresses.

    @cached_property
    def routes(self) -> Mapping[str, Route[Any]]:
        """The routes in use, by name."""
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
        """The origins of the site: public_url's, and those of the other hosts."""
        public = urlsplit(self.settings.public_url)
        return origins_of(public.scheme, (public.netloc, *self.settings.hosts))

    @cached_property
    def steps(self) -> Mapping[Factor, str]:
        """The path of the page that verifies each factor."""
        return {folder.kind.name: self.url(folder.kind.page) for folder in FACTORS}

    @property
    def done(self) -> Mapping[str, Done]:
        """What /me/security says after a change of a factor."""
        return DONE

    @property
    def means(self) -> Mapping[Factor, Sentence]:
        """What each factor is called in “signed in with”."""
        return MEANS

    # Requests.

    def reader(
        self,
        on_unreadable: Callable[[str, str], None] = lambda proxy, entry: None,
        is_in_memory: Callable[[bytes], bool] = lambda key: False,
    ) -> Reader:
        """Return the parser of request heads.

        `on_unreadable` is called for proxies that write something other than addresses into X-Forwarded-For (see
        Reader); `is_in_memory` says whether a session is.
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
            is_in_memory=is_in_memory,
            cached_sessions=settings.sessions.cached,
            reads_tokens=settings.tokens.on,
        )

    @cached_property
    def identities(self) -> Identities:
        settings = self.settings
        identity = settings.identity
        return Identities(
            names=identity.names,
            user_is_email=identity.user == "email",
            assertions=Assertions(
                key=keys.assertion_key(settings.secrets[0]),
                issuer=settings.public_url.rstrip("/"),
                audience=settings.upstream.audience,
            ),
            templates=identity.headers,
            credentials=settings.credentials,
            cached_sessions=settings.sessions.cached,
            # The shipped files for proxies copy it, whether it is on or off.
            blank=() if identity.names["assertion"] else (ASSERTION_NAME,),
        )

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
        return Outbox(self.composer, self.sealer, self.readers, is_on=self.settings.mail.is_on)

    @cached_property
    def sender(self) -> Sender:
        return Sender(self.store, self.mailer, self.sealer)

    @cached_property
    def notices(self) -> Notices:
        compromised = "compromised" if self.url.serves("compromised") else "security"
        return Notices(self.outbox, self.url.address("security"), self.url.address(compromised))

    @cached_property
    def actions(self) -> Actions:
        return Actions(self.store, self.notices)

    # Shared by pages and their services.

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
    def static_files(self) -> StaticFiles:
        return StaticFiles(self.settings.pages.accent)

    @cached_property
    def navigation(self) -> Navigation:
        return Navigation(ROUTES, self.settings)

    @cached_property
    def readers(self) -> Readers:
        return Readers(self.settings.pages.language, self.settings.pages.zone)

    @cached_property
    def renderer(self) -> Renderer:
        is_https = self.settings.public_url.startswith("https:")
        return Renderer(
            self.settings.pages,
            self.url,
            self.navigation,
            self.readers,
            is_https=is_https,
            version=self.static_files.version,
            factor_names=NAMES,
            busy_seconds=lambda: self.hasher.busy_seconds,
        )

    @cached_property
    def side(self) -> SideWork:
        return SideWork()
