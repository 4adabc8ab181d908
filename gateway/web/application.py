"""The aiohttp application of our pages, which runs behind the same client connection as everything else.

The edge's Inbound is not parsed again: it waits on the `Desk`, and the request carries a ticket for it in a header,
which the edge sets, and strips from client requests. Forms that no page of ours sent (CSRF) are refused here, for all
pages. Programs send no Origin: what they may do depends on their token alone, and never on a cookie.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping

from aiohttp import web

from gateway.crypto.sealing import Unopenable
from gateway.edge.origin import is_other_address, is_own_post
from gateway.languages.reader import written_for
from gateway.model.inbound import Inbound
from gateway.observe.logs import get_logger
from gateway.store import StoreUnavailable
from gateway.store.retry import retried
from gateway.web.rendering import Renderer
from gateway.web.routes import Handler, TellFailure
from gateway.web.visit import JUDGE, VISIT, Judge, Visit
from gateway.wire.failures import Failure

log = get_logger("pages")

MAX_FORM_BYTES = 65_536
MAX_WAITING = 20_000  # tickets; more than the number of concurrent requests
TICKET = "Gateway-Ticket"
SERVER = "otium-gateway"


async def allow_none(inbound: Inbound) -> Visit | None:
    """Judge as long as no worker has started: no page is allowed."""


class Desk:
    """Holds visits between the edge and the pages. A ticket is single use and can't be guessed.

    `judge` re-authorises a request: it returns the current visit, or None if its page is no longer allowed.
    """

    def __init__(self) -> None:
        self._visits: dict[str, Visit] = {}
        self.judge: Judge = allow_none

    def hand_over(self, visit: Visit) -> bytes:
        while len(self._visits) >= MAX_WAITING:
            del self._visits[next(iter(self._visits))]  # of a client that disconnected before its page was called
        ticket = secrets.token_urlsafe(16)
        self._visits[ticket] = visit
        return ticket.encode("ascii")

    def take(self, ticket: str) -> Visit | None:
        return self._visits.pop(ticket, None)


def pages_application(
    renderer: Renderer,
    desk: Desk,
    origins: Collection[str],
    takes_foreign: Collection[str],
    machines: Mapping[str, TellFailure],
) -> web.Application:
    """Return an application without routes, whose middleware takes the ticket and checks the origin of forms.

    `origins` are those of the site. `takes_foreign` are the paths, as their routes have them, that accept POSTs of
    others. `machines` are those of programs, with what tells them of a failure.
    """

    @web.middleware
    async def frame(request: web.Request, handler: Handler) -> web.StreamResponse:
        visit = desk.take(request.headers.get(TICKET, ""))
        if visit is None:
            log.error("page_without_ticket", page=page_of(request))
            return renderer.failure(Failure.INTERNAL, "unknown")
        with written_for(renderer.readers.of(visit.inbound, visit.session)):
            return await serve(request, handler, visit)

    async def serve(request: web.Request, handler: Handler, visit: Visit) -> web.StreamResponse:
        request[VISIT] = visit
        request[JUDGE] = desk.judge
        tell_program = machines.get(page_of(request))
        if tell_program is not None:
            return await answer(request, handler, tell_program, visit)
        is_taken = not isinstance(request.match_info.http_exception, web.HTTPMethodNotAllowed)
        is_own = page_of(request) in takes_foreign or is_own_post(visit.inbound, origins)
        if is_taken and request.method not in ("GET", "HEAD") and not is_own:
            is_other = is_other_address(visit.inbound, origins)
            failure = Failure.OTHER_ADDRESS if is_other else Failure.FOREIGN_FORM
            return renderer.failure(failure, visit.inbound.request_id, visit.session)
        return await answer(request, handler, renderer.failure, visit)

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        if "token" in request.match_info:  # the URL is a secret: it must not reach the application as a Referer
            response.headers.setdefault("Referrer-Policy", "strict-origin")
        # A policy of its own says which other sites may frame it. The older header can't name any.
        left_out = "X-Frame-Options" if "Content-Security-Policy" in response.headers else ""
        for name, value in renderer.headers.items():
            if name != left_out:
                response.headers.setdefault(name, value)
        response.headers["Server"] = SERVER

    application = web.Application(middlewares=[frame], client_max_size=MAX_FORM_BYTES)
    application.on_response_prepare.append(add_headers)
    return application


async def answer(request: web.Request, handler: Handler, tell: TellFailure, visit: Visit) -> web.StreamResponse:
    """Call the handler, and translate exceptions to failure pages."""
    request_id, session = visit.inbound.request_id, visit.session
    try:
        return await retried(handler)(request)
    except web.HTTPNotFound:
        return tell(Failure.NOT_FOUND, request_id, session)
    except web.HTTPMethodNotAllowed as error:
        allow = ", ".join(sorted(error.allowed_methods))
        return tell(Failure.METHOD_NOT_ALLOWED, request_id, session, allow=allow)
    except web.HTTPRequestEntityTooLarge:
        return tell(Failure.BODY_TOO_LARGE, request_id, session)
    except web.HTTPForbidden:
        return tell(Failure.FORBIDDEN, request_id)
    except ConnectionResetError:  # the client disconnected before the body was complete
        return tell(Failure.BAD_REQUEST, request_id, session)
    except web.HTTPException as error:
        failure = Failure.BAD_REQUEST if error.status < 500 else Failure.INTERNAL
        return tell(failure, request_id, session)
    except StoreUnavailable as error:
        log.error("store_unavailable", reason=str(error), request_id=request_id)
        return tell(Failure.STORE_AWAY, request_id, session)
    except Unopenable as error:
        log.error("secret_missing", reason=str(error), page=page_of(request), request_id=request_id)
        return tell(Failure.STORE_AWAY, request_id, session)
    except Exception:
        log.exception("page_failed", page=page_of(request), request_id=request_id)
        return tell(Failure.INTERNAL, request_id, session)


def page_of(request: web.Request) -> str:
    """Return the route's pattern instead of the path, which may contain a link's token, for the log."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "none"
