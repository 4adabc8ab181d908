"""Routes: name, path, access and preconditions of each of our pages.

A noun declares its routes at module level, so that `explain`, `check-config` and the policy can read the table without
constructing an object. Handlers are methods of the noun's page class, bound when a worker constructs it (`Pages.bind`);
`web/guards.py` enforces the declarations.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Any, Generic, Literal, TypeVar

from aiohttp import web

from gateway.model.factor import Factor
from gateway.policy.decision import Need, Rules
from gateway.policy.freshness import FRESH_SECONDS
from gateway.settings.record import Settings
from gateway.web.return_to import DeadEnds
from gateway.web.visit import Form

P = TypeVar("P")  # the noun's page class
N = TypeVar("N", contravariant=True)  # the dependencies of the page class

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PageHandler = Callable[[P, web.Request], Awaitable[web.StreamResponse]]

FIXED = ("/_gateway/", "/.well-known/")  # at fixed places, where other programs expect them


@dataclass(frozen=True, slots=True)
class Fresh:
    """Re-authentication: each of `factors` must have been proved in the last `seconds`, TOTP by those who have it.

    It is asked of GET as well, unless `only_post`; `when` limits it to some requests. The proof leads back to the page
    `back` (by default the route itself), with what was given as `carry`, and with `done=proved` if `is_announced`.
    """

    factors: tuple[Factor, ...] = (Factor.PASSWORD, Factor.TOTP)
    seconds: int = FRESH_SECONDS
    only_post: bool = False
    when: Callable[[web.Request, Form], bool] | None = None
    back: str = ""
    carry: tuple[str, ...] = ()
    is_announced: bool = False


@dataclass(frozen=True, slots=True)
class Route(Generic[P]):
    """One of our own pages. A path may end in one variable segment, `{name}`, and has no other."""

    name: str
    path: str
    need: Need
    _: KW_ONLY
    get: PageHandler[P] | None = None
    post: PageHandler[P] | None = None
    fresh: Fresh | None = None
    refuses_blocked: bool = False
    """Refuse requests from blocked addresses, unless they are signed in."""
    needs_mail: Literal["", "password", "signup", "email", "invitation"] = ""
    """What can't be done here without a mail server."""
    is_dead_end: bool = False
    """The page is no target after signing in (see `find_dead_ends`)."""
    is_needed: bool = False
    """Signing in needs this page: it can be moved, but not switched off."""
    is_served: Callable[[Settings], bool] | None = None
    """Whether the settings have it. The address of a page that is not served is the application's."""
    by_dispatcher: bool = False
    """There is no handler: the dispatcher answers."""

    def __post_init__(self) -> None:
        if self.by_dispatcher is bool(self.get or self.post):
            raise ValueError(f"the route {self.name} needs a handler, or the dispatcher to answer it, and not both")
        if self.fresh is not None and self.need is Need.NOBODY:
            raise ValueError(f"the route {self.name} is open to people who have proved nothing")

    @property
    def variable(self) -> str:
        """The name of the last segment, if it is variable."""
        return self.path.partition("{")[2].rstrip("}")

    @property
    def parent(self) -> str:
        """The path up to what is variable in it."""
        return self.path.partition("{")[0]

    def handlers(self) -> Iterator[tuple[str, PageHandler[P]]]:
        """Yield each method that is taken, and its handler."""
        if self.get is not None:
            yield "GET", self.get
            yield "HEAD", self.get
        if self.post is not None:
            yield "POST", self.post


@dataclass(frozen=True, slots=True)
class HandedOver(Generic[P]):
    """A POST handler that only the dispatcher can reach, under an internal path."""

    path: str
    post: PageHandler[P]
    takes_foreign: bool = False
    """Also a form that another site has sent, which every other handler refuses."""


class Pages(Generic[N, P]):
    """A noun's routes, and how the object with their handlers is made from what it needs."""

    def __init__(self, build: Callable[[N], P], *routes: Route[P], handed_over: tuple[HandedOver[P], ...] = ()) -> None:
        self._build = build
        self.routes = routes
        self.handed_over = handed_over

    def bind(
        self, needs: N, served: Mapping[str, Route[Any]], guard: Callable[[Route[Any], Handler], Handler]
    ) -> Iterator[tuple[str, str, Handler]]:
        """Make the object; yield method, path and guarded handler of each page that is served."""
        pages = self._build(needs)
        for route in self.routes:
            for method, handler in route.handlers() if route.name in served else ():
                yield method, served[route.name].path, guard(route, partial(handler, pages))
        for handed in self.handed_over:
            yield "POST", handed.path, partial(handed.post, pages)


def serve(routes: Iterable[Route[Any]], settings: Settings) -> dict[str, Route[Any]]:
    """Return the routes that are served, by name and where `[pages]` has put them."""
    moved = settings.pages.paths
    placed = (replace(route, path=moved.get(route.name, route.path)) for route in place(routes, settings))
    return {route.name: route for route in placed if route.path and (not route.is_served or route.is_served(settings))}


def place(routes: Iterable[Route[Any]], settings: Settings) -> Iterator[Route[Any]]:
    """Yield every route below the prefix, save those that stand where other programs look for them."""
    for route in routes:
        is_fixed = route.path.startswith(FIXED)
        yield route if is_fixed else replace(route, path=settings.pages.prefix + route.path)


class Urls:
    """Says where the pages are. One that is not served is where it would be."""

    def __init__(self, routes: Iterable[Route[Any]], settings: Settings) -> None:
        table = tuple(routes)
        self._served = serve(table, settings)
        self._routes = {route.name: route for route in place(table, settings)} | self._served
        self._origin = settings.public_url.rstrip("/")

    def __call__(self, name: str, /, **segment: str) -> str:
        """Return the path of the page `name`; its variable segment is given by name, as in `token="…"`."""
        route = self._routes[name]
        if tuple(segment) != tuple(filter(None, (route.variable,))):
            raise TypeError(f"the page {name} has {route.path}, and not {', '.join(segment)}")
        return route.parent + "".join(segment.values())

    def address(self, name: str, /, **segment: str) -> str:
        """Return the whole address of a page, as for a mail."""
        return self._origin + self(name, **segment)

    def serves(self, name: str) -> bool:
        return name in self._served


def find_dead_ends(routes: Iterable[Route[Any]], settings: Settings) -> DeadEnds:
    """Return at which paths signing in should not end, by where the pages are."""
    table = tuple(routes)
    served, url = serve(table, settings), Urls(table, settings)
    ends = [route for route in served.values() if route.is_dead_end]
    below = [route.parent for route in ends if route.variable]
    if "login" not in settings.pages.paths:  # below an address that the operator chose, the application may have pages
        below.append(f"{url('login')}/")
    return DeadEnds(frozenset(route.path for route in ends if not route.variable), tuple(below), url("form", token=""))


def secret_parents(routes: Iterable[Route[Any]]) -> tuple[str, ...]:
    """Return the paths below which a segment lets in whoever knows it."""
    return tuple(route.parent for route in routes if route.variable == "token")


def add_pages(rules: Rules, served: Mapping[str, Route[Any]]) -> Rules:
    """Return what the gate goes by: the rules of the access file, and the pages that are served."""
    exact = {route.path: route.need for route in served.values() if not route.variable}
    parents = {route.parent.rstrip("/"): route.need for route in served.values() if route.variable}
    return replace(rules, pages=exact, page_parents=parents)
