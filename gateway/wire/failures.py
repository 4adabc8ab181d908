"""Everything that can go wrong with a request, and what the person or program at the other end is told.

The one map from failures to statuses: whoever notices a failure names it, nobody else picks a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Told:
    """`code` is for programs, `sentence` for people; `closes` ends the connection after the answer.

    `retry_after` is in seconds, 0 where waiting does not help.
    """

    status: int
    code: str
    sentence: str
    closes: bool = False
    retry_after: int = 0


class Failure(Enum):
    BAD_REQUEST = Told(400, "bad_request", "The browser sent a request that could not be understood.", True)
    BAD_PATH = Told(400, "bad_path", "This address is written in a way that can be read in two ways.", True)
    FORBIDDEN = Told(403, "forbidden", "Your account may not open this page.")
    FOREIGN_FORM = Told(403, "foreign_form", "This form was not sent from our own page. Open the page again and retry.")
    ADDRESS_BLOCKED = Told(
        403,
        "address_blocked",
        "Nobody can sign in from your network for now, because many wrong passwords have come from it.",
    )
    NOT_FOUND = Told(404, "not_found", "There is no such page.")
    METHOD_NOT_ALLOWED = Told(405, "method_not_allowed", "This kind of request is not accepted here.", True)
    REQUEST_TIMEOUT = Told(408, "request_timeout", "The request took too long to arrive.", True)
    BODY_TOO_LARGE = Told(413, "body_too_large", "What was sent is larger than this page accepts.", True)
    TARGET_TOO_LONG = Told(414, "address_too_long", "This address is too long.", True)
    EXPECTATION = Told(417, "expectation_failed", "The request expects something that is not offered here.", True)
    WRONG_HOST = Told(421, "wrong_host", "This address does not belong to this site.", True)
    HEAD_TOO_LARGE = Told(431, "head_too_large", "The request carries more headers or cookies than is accepted.", True)
    TOO_MANY = Told(
        429,
        "too_many_requests",
        "Too many requests from your network are under way. Please try again in a moment.",
        True,
        retry_after=5,
    )
    INTERNAL = Told(500, "internal_error", "Something went wrong on our side. It has been noted.")
    NOT_IMPLEMENTED = Told(501, "not_implemented", "This kind of transfer is not accepted here.", True)
    UPSTREAM_BROKEN = Told(502, "upstream_broken", "The application gave no proper answer. Please try again.")
    UPSTREAM_AWAY = Told(502, "upstream_unreachable", "The application can't be reached right now. Please try again.")
    SIGN_IN_BUSY = Told(
        503, "sign_in_busy", "Sign-in is very busy right now. Please try again in a few seconds.", retry_after=5
    )
    UPSTREAM_BUSY = Told(
        503, "upstream_busy", "The application is very busy right now. Please try again in a moment.", retry_after=5
    )
    STORE_AWAY = Told(
        503, "store_unavailable", "Signing in and checking who you are is not possible right now.", retry_after=10
    )
    UPSTREAM_SLOW = Told(504, "upstream_timeout", "The application took too long to answer. Please try again.")
    HTTP_VERSION = Told(505, "http_version", "This version of HTTP is not accepted here.", True)
