"""Everything that can go wrong with a request, and what the person or program at the other end is told.

The one map from failures to statuses: the code that notices a failure names it, and no other place picks a status.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.model.sentence import Sentence


@dataclass(frozen=True, slots=True)
class Told:
    """`code` is for programs, `sentence` for people; `closes` ends the connection after the answer.

    `retry_after` is in seconds, 0 where waiting does not help.
    """

    status: int
    code: str
    sentence: Sentence
    closes: bool = False
    retry_after: int = 0


class Failure(Enum):
    BAD_REQUEST = Told(400, "bad_request", Sentence("Your browser sent a request we couldn’t understand."), True)
    BAD_PATH = Told(
        400, "bad_path", Sentence("This web address is ambiguous, so we can’t open it. Check the link."), True
    )
    FORBIDDEN = Told(403, "forbidden", Sentence("You don’t have access to this page."))
    FOREIGN_FORM = Told(
        403, "foreign_form", Sentence("We couldn’t verify where this form came from. Reload the page and try again.")
    )
    ADDRESS_BLOCKED = Told(
        403,
        "address_blocked",
        Sentence("Sign-in from your network is temporarily blocked because of too many failed attempts."),
    )
    NOT_FOUND = Told(404, "not_found", Sentence("Page not found."))
    METHOD_NOT_ALLOWED = Told(
        405, "method_not_allowed", Sentence("This page doesn’t support that kind of request."), True
    )
    REQUEST_TIMEOUT = Told(408, "request_timeout", Sentence("The request timed out. Please try again."), True)
    BODY_TOO_LARGE = Told(413, "body_too_large", Sentence("That’s too large to send here."), True)
    TARGET_TOO_LONG = Told(414, "address_too_long", Sentence("This web address is too long."), True)
    EXPECTATION = Told(
        417, "expectation_failed", Sentence("Your browser asked for something this site doesn’t support."), True
    )
    WRONG_HOST = Told(421, "wrong_host", Sentence("This site isn’t available at this address."), True)
    HEAD_TOO_LARGE = Told(
        431,
        "head_too_large",
        Sentence("Your browser sent too many cookies or headers. Clear this site’s cookies and try again."),
        True,
    )
    TOO_MANY = Told(
        429,
        "too_many_requests",
        Sentence("Too many requests from your network are under way. Please try again in a moment."),
        True,
        retry_after=5,
    )
    INTERNAL = Told(500, "internal_error", Sentence("Something went wrong on our end. We’ve logged the error."))
    NOT_IMPLEMENTED = Told(501, "not_implemented", Sentence("This type of upload isn’t supported."), True)
    UPSTREAM_BROKEN = Told(502, "upstream_broken", Sentence("The app returned an invalid response. Please try again."))
    UPSTREAM_AWAY = Told(
        502, "upstream_unreachable", Sentence("We can’t reach the app right now. Please try again in a few minutes.")
    )
    SIGN_IN_BUSY = Told(
        503,
        "sign_in_busy",
        Sentence("Sign-in is very busy right now. Please try again in a few seconds."),
        retry_after=5,
    )
    UPSTREAM_BUSY = Told(
        503, "upstream_busy", Sentence("The app is very busy right now. Please try again in a moment."), retry_after=5
    )
    STORE_AWAY = Told(
        503,
        "store_unavailable",
        Sentence("Sign-in is temporarily unavailable. Please try again in a few minutes."),
        retry_after=10,
    )
    UPSTREAM_SLOW = Told(504, "upstream_timeout", Sentence("The app took too long to respond. Please try again."))
    HTTP_VERSION = Told(505, "http_version", Sentence("This HTTP version isn’t supported."), True)
