"""Renders failures: HTML for people, JSON for programs."""

from __future__ import annotations

import json

from gateway.languages.reader import written_for
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.web.rendering import Renderer
from gateway.wire.failures import Failure
from gateway.wire.http1 import ALLOW


class FailureAnswers:
    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._lines = [f"{name}: {value}".encode() for name, value in renderer.headers.items()]

    def tell(
        self, failure: Failure, inbound: Inbound | None, request_id: str, session: Session | None
    ) -> tuple[list[bytes], bytes]:
        """Return field lines and body. `inbound` is None if the request could not be parsed."""
        lines = [*self._lines]
        if seconds := self._renderer.retry_after(failure):
            lines.append(b"Retry-After: %d" % seconds)
        is_unserved = failure is Failure.METHOD_NOT_ALLOWED  # CONNECT, TRACE or unknown: sent by no browser
        if is_unserved:
            lines.append(ALLOW)
        if inbound.wants_html if inbound else not is_unserved:
            with written_for(self._renderer.readers.of(inbound, session)):
                page = self._renderer.failure_page(failure, request_id, session, inbound.address if inbound else "")
            return [b"Content-Type: text/html; charset=utf-8", *lines], page
        told = failure.value
        answer = {"error": told.code, "message": told.sentence, "request_id": request_id}
        if inbound is not None and failure is Failure.OTHER_NETWORK:
            answer["address"] = inbound.address
        return [b"Content-Type: application/json", *lines], json.dumps(answer).encode()
