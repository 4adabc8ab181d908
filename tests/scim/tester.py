"""scim2-tester, told what it has to know. To be imported by who uses it: a process takes seven seconds for that."""

from __future__ import annotations

import itertools
import time
from typing import Any

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import ResourceType, Schema, ScimProvider
from scim2_tester import CheckResult, Status, check_server

from tests.support.gateway import HOST

__all__ = ["Status", "results_of"]

numbers = itertools.count()


class Fresh(list[str]):
    """Examples of an attribute, a new one each time: the tester would make up names that are no email addresses."""

    def __getitem__(self, at: Any) -> str:  # type: ignore[override]
        return f"tested{next(numbers)}@acme.example"


class Client(SyncSCIMClient):
    """Asks for the server's name, and again when it was told to wait."""

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        while True:
            response = super().request(method, url, extensions={"sni_hostname": HOST}, **kwargs)
            if response.status_code != 429:
                return response
            time.sleep(int(response.headers["Retry-After"]))


def results_of(http: httpx2.Client) -> list[CheckResult]:
    """Check the server to which `http` speaks."""
    client = Client(http)
    client.provider = describe(client)
    return check_server(client)


def describe(client: Client) -> ScimProvider:
    """Return the resources as the server describes them, with examples of what a userName is."""
    schemas = client.query(Schema).resources
    types = client.query(ResourceType).resources
    described = ScimProvider.from_discovery(schemas, types)
    user = described.model_for("User")
    user.model_fields["user_name"].examples = Fresh(["x"])
    return described
