"""The table of failures: the status of each, its code for programs, and its sentence for people.

The code that detects a failure names it; statuses are chosen only here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.model.sentence import Sentence


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to a failure. `closes`: the connection is closed after it.

    `retry_after` is in seconds, 0 if retrying does not help.
    """

    status: int
    code: str
    sentence: Sentence
    closes: bool = False
    retry_after: int = 0


class Failure(Enum):
    BAD_REQUEST = Reply(400, "bad_request", Sentence("Your browser sent a request we couldn’t understand."), True)
    BAD_PATH = Reply(
        400, "bad_path", Sentence("This web address is ambiguous, so we can’t open it. Check the link."), True
    )
    FORBIDDEN = Reply(403, "forbidden", Sentence("You don’t have access to this page."))
    TOKEN_LIMITED = Reply(
        403,
        "token_limited",
        Sentence("This API token doesn’t allow this request: it is limited, or only people who sign in may do this."),
    )
    FOREIGN_FORM = Reply(
        403, "foreign_form", Sentence("We couldn’t verify where this form came from. Reload the page and try again.")
    )
    OTHER_ADDRESS = Reply(
        403, "other_address", Sentence("This form doesn’t work at the address in your browser. Use this one instead:")
    )
    ADDRESS_BLOCKED = Reply(
        403,
        "address_blocked",
        Sentence("Sign-in from your network is temporarily blocked because of too many failed attempts."),
    )
    OTHER_NETWORK = Reply(403, "other_network", Sentence("This account can’t be used from your network."))
    NOT_FOUND = Reply(404, "not_found", Sentence("Page not found."))
    METHOD_NOT_ALLOWED = Reply(
        405, "method_not_allowed", Sentence("This page doesn’t support that kind of request."), True
    )
    REQUEST_TIMEOUT = Reply(408, "request_timeout", Sentence("The request timed out. Please try again."), True)
    BODY_TOO_LARGE = Reply(413, "body_too_large", Sentence("That’s too large to send here."), True)
    TARGET_TOO_LONG = Reply(414, "address_too_long", Sentence("This web address is too long."), True)
    EXPECTATION = Reply(
        417, "expectation_failed", Sentence("Your browser asked for something this site doesn’t support."), True
    )
    WRONG_HOST = Reply(421, "wrong_host", Sentence("This site isn’t available at this address."), True)
    HEAD_TOO_LARGE = Reply(
        431,
        "head_too_large",
        Sentence("Your browser sent too many cookies or headers. Clear this site’s cookies and try again."),
        True,
    )
    TOO_MANY = Reply(
        429,
        "too_many_requests",
        Sentence("Too many requests from your network are under way. Please try again in a moment."),
        True,
        retry_after=5,
    )
    INTERNAL = Reply(500, "internal_error", Sentence("Something went wrong on our end. We’ve logged the error."))
    NOT_IMPLEMENTED = Reply(501, "not_implemented", Sentence("This type of upload isn’t supported."), True)
    UPSTREAM_BROKEN = Reply(502, "upstream_broken", Sentence("The app returned an invalid response. Please try again."))
    UPSTREAM_AWAY = Reply(
        502, "upstream_unreachable", Sentence("We can’t reach the app right now. Please try again in a few minutes.")
    )
    SIGN_IN_BUSY = Reply(
        503,
        "sign_in_busy",
        Sentence("Sign-in is very busy right now. Please try again in a moment."),  # a page says when
    )
    UPSTREAM_BUSY = Reply(
        503, "upstream_busy", Sentence("The app is very busy right now. Please try again in a moment."), retry_after=5
    )
    STORE_AWAY = Reply(
        503,
        "store_unavailable",
        Sentence("Sign-in is temporarily unavailable. Please try again in a few minutes."),
        retry_after=10,
    )
    UPSTREAM_SLOW = Reply(504, "upstream_timeout", Sentence("The app took too long to respond. Please try again."))
    HTTP_VERSION = Reply(505, "http_version", Sentence("This HTTP version isn’t supported."), True)
