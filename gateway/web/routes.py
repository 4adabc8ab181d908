"""Routes: name, path, access and preconditions of each of our pages.

A noun declares its routes at module level, so that `explain`, `check-config` and the policy can read the table without
constructing an object. Handlers are methods of the noun's page class, bound when a worker constructs it (`Pages.bind`);
`web/guards.py` enforces the declarations.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Any, Generic, Literal, Protocol, TypeVar

from aiohttp import web

from gateway.model.factor import Factor
from gateway.model.session import Session
from gateway.policy.decision import Need, Rules
from gateway.policy.freshness import FRESH_SECONDS
from gateway.settings.record import Settings
from gateway.web.return_to import DeadEnds
from gateway.web.sections import Entry
from gateway.web.visit import Form
from gateway.wire.failures import Failure

P = TypeVar("P")  # the noun's page class
N = TypeVar("N", contravariant=True)  # the dependencies of the page class

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PageHandler = Callable[[P, web.Request], Awaitable[web.StreamResponse]]

FIXED = ("/_gateway/", "/.well-known/")  # at fixed places, where other programs expect them


@dataclass(frozen=True, slots=True)
class Fresh:
    """Re-authentication: each of `factors` must have been proved in the last `seconds` (TOTP only if enrolled).

    Applies to GET too, unless `only_post`; `when` restricts it to some requests. Afterwards the browser returns to the
    page `back` (default: the route itself), with the parameters `carry`, with the fields `form`, which are sealed (see
    web.carried_form), and with `done=proved` if `is_announced`.
    """

    factors: tuple[Factor, ...] = (Factor.PASSWORD, Factor.TOTP)
    seconds: int = FRESH_SECONDS
    only_post: bool = False
    when: Callable[[web.Request, Form], bool] | None = None
    back: str = ""
    carry: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    is_announced: bool = False


class TellFailure(Protocol):
    """Makes the response to a failure; see Renderer.failure, which makes pages for people."""

    def __call__(
        self, failure: Failure, request_id: str, session: Session | None = None, *, allow: str = ""
    ) -> web.Response: ...


@dataclass(frozen=True, slots=True)
class Machine(Generic[P]):
    """Requests of every method by a program, which authenticates itself with each of them.

    The handler must ignore the session: cookies prove nothing here, because the origin of these requests isn't checked.
    """

    handler: PageHandler[P]
    tell: TellFailure


@dataclass(frozen=True, slots=True)
class Route(Generic[P]):
    """One of our own pages. Only the last segment of its path may be variable: `{name}`."""

    name: str
    path: str
    need: Need
    _: KW_ONLY
    get: PageHandler[P] | None = None
    post: PageHandler[P] | None = None
    machine: Machine[P] | None = None
    """How other programs are answered, instead of browsers."""
    entry: Entry | None = None
    """The page's link in the navigation (see web/navigation.py)."""
    below: str = ""
    """The route whose entry the page belongs to, if that isn't the nearest one above its path."""
    fresh: Fresh | None = None
    refuses_blocked: bool = False
    """Refuse requests from blocked addresses, unless they are signed in."""
    needs_mail: Literal["", "password", "signup", "email", "invitation"] = ""
    """What the page can't do without a mail server."""
    is_dead_end: bool = False
    """The page is no target after signing in (see `find_dead_ends`)."""
    is_needed: bool = False
    """Signing in needs this page: it can be moved, but not switched off."""
    is_served: Callable[[Settings], bool] | None = None
    """Whether the settings enable it. If not, its path belongs to the application."""
    takes_foreign: bool = False
    """Accept POSTs that no page of ours sent: from other programs, which prove in another way who they are."""
    is_exact: bool = False
    """Paths below it are the application's, except those of other routes."""
    by_dispatcher: bool = False
    """The dispatcher responds, and there is no handler."""

    def __post_init__(self) -> None:
        if self.by_dispatcher is bool(self.get or self.post or self.machine):
            raise ValueError(f"the route {self.name} needs a handler, or the dispatcher to answer it, and not both")
        if self.fresh is not None and self.need in (Need.NOBODY, Need.LEAVING):
            raise ValueError(f"the route {self.name} is open to people who have proved nothing")
        if self.machine is not None and (self.get or self.post or self.need is not Need.NOBODY):
            raise ValueError(f"the route {self.name} is for browsers and programs at once")

    @property
    def variable(self) -> str:
        """The name of the last segment, if it is variable."""
        return self.path.partition("{")[2].rstrip("}")

    @property
    def parent(self) -> str:
        """The path up to its variable segment."""
        return self.path.partition("{")[0]

    def handlers(self) -> Iterator[tuple[str, PageHandler[P]]]:
        """Yield each accepted method with its handler."""
        if self.get is not None:
            yield "GET", self.get
            yield "HEAD", self.get
        if self.post is not None:
            yield "POST", self.post
        if self.machine is not None:
            yield "*", self.machine.handler


@dataclass(frozen=True, slots=True)
class HandedOver(Generic[P]):
    """A POST handler that only the dispatcher can reach, under an internal path."""

    path: str
    post: PageHandler[P]
    takes_foreign: bool = False
    """Accept forms of other sites too, which all other handlers refuse."""


class Pages(Generic[N, P]):
    """A noun's routes, and the function that constructs the object with their handlers."""

    def __init__(self, build: Callable[[N], P], *routes: Route[P], handed_over: tuple[HandedOver[P], ...] = ()) -> None:
        self._build = build
        self.routes = routes
        self.handed_over = handed_over

    def bind(
        self, needs: N, served: Mapping[str, Route[Any]], guard: Callable[[Route[Any], Handler], Handler]
    ) -> Iterator[tuple[str, str, Handler]]:
        """Construct the object. Yield method, path and guarded handler of each served page."""
        pages = self._build(needs)
        for route in self.routes:
            for method, handler in route.handlers() if route.name in served else ():
                yield method, served[route.name].path, guard(route, partial(handler, pages))
        for handed in self.handed_over:
            yield "POST", handed.path, partial(handed.post, pages)


def serve(routes: Iterable[Route[Any]], settings: Settings) -> dict[str, Route[Any]]:
    """Return the served routes by name, with their paths by the settings `[pages]`."""
    moved = settings.pages.paths
    placed = (at(moved.get(route.name, route.path), route) for route in place(routes, settings))
    return {route.name: route for route in placed if route.path and (not route.is_served or route.is_served(settings))}


def place(routes: Iterable[Route[Any]], settings: Settings) -> Iterator[Route[Any]]:
    """Yield every route, with the configured prefix unless its path is fixed."""
    for route in routes:
        is_fixed = route.path.startswith(FIXED)
        yield route if is_fixed else at(settings.pages.prefix + route.path, route)


def at(path: str, route: Route[Any]) -> Route[Any]:
    return route if path == route.path else replace(route, path=path)


class Urls:
    """Paths and URLs of pages by name, including those that are not served."""

    def __init__(self, routes: Iterable[Route[Any]], settings: Settings) -> None:
        table = tuple(routes)
        self._served = serve(table, settings)
        self._routes = {route.name: route for route in place(table, settings)} | self._served
        self._origin = settings.public_url.rstrip("/")

    def __call__(self, name: str, /, **segment: str) -> str:
        """Return the path of the page `name`; a variable segment is passed by name, as in `token="…"`."""
        route = self._routes[name]
        if tuple(segment) != tuple(filter(None, (route.variable,))):
            raise TypeError(f"the page {name} has {route.path}, and not {', '.join(segment)}")
        return route.parent + "".join(segment.values())

    def address(self, name: str, /, **segment: str) -> str:
        """Return the absolute URL of a page, for mails."""
        return self._origin + self(name, **segment)

    @property
    def site(self) -> str:
        """The public URL, without a final slash."""
        return self._origin

    def serves(self, name: str) -> bool:
        return name in self._served


def find_dead_ends(routes: Iterable[Route[Any]], settings: Settings) -> DeadEnds:
    """Return the paths that are not accepted as targets after sign-in."""
    table = tuple(routes)
    served, url = serve(table, settings), Urls(table, settings)
    ends = [route for route in served.values() if route.is_dead_end]
    below = [route.parent for route in ends if route.variable]
    if "login" not in settings.pages.paths:  # below a path chosen by the operator, the application may have pages
        below.append(f"{url('login')}/")
    return DeadEnds(frozenset(route.path for route in ends if not route.variable), tuple(below), url("form", token=""))


def machine_answers(served: Mapping[str, Route[Any]]) -> dict[str, TellFailure]:
    """Return how programs are told of failures, by the path of their routes."""
    return {route.path: route.machine.tell for route in served.values() if route.machine is not None}


def secret_parents(routes: Iterable[Route[Any]]) -> tuple[str, ...]:
    """Return the paths whose next segment is a secret token."""
    return tuple(route.parent for route in routes if route.variable == "token")


def add_pages(rules: Rules, served: Mapping[str, Route[Any]]) -> Rules:
    """Add the served pages to the rules of the access file."""
    exact = {route.path: route.need for route in served.values() if not route.variable}
    parents = {route.parent.rstrip("/"): route.need for route in served.values() if route.variable}
    return replace(rules, pages=exact, page_parents=parents)
