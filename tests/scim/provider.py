"""A company's identity provider that provisions: it has a token, and sends what a test says."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.support.gateway import HOST, Gateway
from tests.support.person import Person
from tests.support.raw import Response

BASE = "/_gateway/scim/v2"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is the JSON of a response, {} if there is none."""

    status: int
    body: dict[str, Any]
    response: Response

    @property
    def id(self) -> str:
        assert self.status < 300, (self.status, self.body)
        return str(self.body["id"])


class Provider:
    def __init__(self, gateway: Gateway, token: str, *lines: str) -> None:
        self.gateway = gateway
        self.token = token
        self.lines = lines

    def ask(self, method: str, path: str, body: Any = None, *lines: str, kind: str = "application/scim+json") -> Answer:
        """Send a request, again if it was one too many in its second."""
        while True:
            answer = self.ask_once(method, path, body, *lines, kind=kind)
            if answer.status != 429:
                return answer
            time.sleep(0.1)  # as the answer's Retry-After tells a provider to do

    def ask_once(
        self, method: str, path: str, body: Any = None, *lines: str, kind: str = "application/scim+json"
    ) -> Answer:
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        head = [f"{method} {BASE}{path} HTTP/1.1", f"Host: {HOST}", f"Content-Length: {len(content)}", *lines]
        head += [f"Content-Type: {kind}"] if body is not None and kind else []
        head += [f"Authorization: Bearer {self.token}"] if self.token else []
        response = self.gateway.exchange("\r\n".join([*head, *self.lines, "", ""]).encode() + content)
        return Answer(response.status, json.loads(response.body) if response.body else {}, response)

    # What providers do.

    def add_user(self, email: str, **more: Any) -> Answer:
        return self.ask("POST", "/Users", {"userName": email, "active": True, **more})

    def patch(self, path: str, *operations: dict[str, Any]) -> Answer:
        return self.ask("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def set_active(self, user: str, value: Any) -> Answer:
        return self.patch(f"/Users/{user}", {"op": "Replace", "path": "active", "value": value})

    def find(self, path: str, text: str) -> Answer:
        return self.ask("GET", f"{path}?filter={quote(text)}")

    def add_group(self, name: str, *members: str) -> Answer:
        return self.ask("POST", "/Groups", {"displayName": name, "members": [{"value": member} for member in members]})


def make_token(own: Gateway, admin: str = "adam@acme.example", days: str = "365", source: str = "127.0.0.9") -> str:
    """Have an administrator make a token on the page."""
    person = Person(own, admin, source=source)
    person.give_password("/admin/sso/provisioning")
    page = person.send("/admin/sso/provisioning", {"do": "created", "days": days}).body.decode()
    found = re.search(r"<code>(otw_scim_[A-Za-z0-9_-]+)</code>", page)
    assert found, page[-3000:]
    return found[1]
