"""Responses to providers: JSON, also for errors (RFC 7644 §3.12)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.model.session import Session
from gateway.wire.failures import Failure

TYPE = "application/scim+json"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
DETAILS = {  # in the protocol's own words; pages tell people more
    400: "the request can’t be understood",
    403: "this isn’t allowed",
    404: "there is no such resource",
    405: "this method isn’t supported here",
    413: "the request is too large",
    503: "the store can’t be reached at the moment",
}


class Refusal(Exception):
    """The request can't be done. `scim_type` is the detail error keyword of RFC 7644 §3.12, or "".

    It undoes the transaction in which it is raised. With a `reason`, it is recorded afterwards (Admission.record).
    """

    def __init__(self, status: int, detail: str, scim_type: str = "", *, reason: str = "", **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.scim_type = scim_type
        self.reason = reason
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type=TYPE, headers=headers)


def nothing() -> web.Response:
    return web.Response(status=204)


def error(status: int, detail: str, scim_type: str = "", headers: Mapping[str, str] | None = None) -> web.Response:
    told = {"schemas": [ERROR], "status": str(status), "detail": detail}
    return answer({**told, "scimType": scim_type} if scim_type else told, status, headers)


def refuse(refusal: Refusal) -> web.Response:
    return error(refusal.status, refusal.detail, refusal.scim_type, refusal.headers)


def tell_failure(failure: Failure, request_id: str, session: Session | None = None, *, allow: str = "") -> web.Response:
    """Return the response to a failure (see routes.TellFailure)."""
    status, seconds = failure.value.status, failure.value.retry_after
    headers = {"X-Request-Id": request_id}
    if allow:
        headers["Allow"] = allow
    if seconds:
        headers["Retry-After"] = str(seconds)
    return error(status, DETAILS.get(status, "something went wrong here"), headers=headers)
