"""scim2-tester's checks, over HTTPS through nginx, with what the server itself says of its resources."""

from __future__ import annotations

import itertools
import random
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import ResourceType, Schema, ScimProvider
from scim2_tester import Status, check_server

from tests.scim.provider import BASE, Provider
from tests.support import servers
from tests.support.gateway import HOST, Gateway

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


@pytest.fixture
def unchanging() -> Iterator[None]:
    """Let chance be the same in each run: the tester draws numbers and choices that it sends (its texts are UUIDs)."""
    before = random.getstate()
    random.seed(1)
    yield
    random.setstate(before)


@pytest.fixture
def client(own: Gateway, acme: Provider, tmp_path: Path) -> Iterator[Client]:
    replacements = {"server 127.0.0.1:8000": f"server 127.0.0.1:{own.port}"}
    nginx, port = servers.nginx(tmp_path, "nginx.conf", replacements)
    context = ssl.create_default_context(cafile=str(servers.certificate(tmp_path)[0]))
    with httpx2.Client(
        base_url=f"https://127.0.0.1:{port}{BASE}",
        headers={"Host": HOST, "Authorization": f"Bearer {acme.token}"},
        verify=context,
        timeout=120,
    ) as http:
        yield Client(http)
    nginx.stop()


def describe(client: Client) -> ScimProvider:
    """Return the resources as the server describes them, with examples of what a userName is."""
    schemas = client.query(Schema).resources
    types = client.query(ResourceType).resources
    described = ScimProvider.from_discovery(schemas, types)
    user = described.model_for("User")
    user.model_fields["user_name"].examples = Fresh(["x"])
    return described


@pytest.mark.usefixtures("unchanging")
def test_the_server_conforms(client: Client) -> None:
    client.provider = describe(client)
    results = check_server(client)
    wrong = [(result.title, result.resource_type, result.reason) for result in results if result.status is Status.ERROR]
    assert wrong == []
    skipped = {result.title for result in results if result.status is Status.SKIPPED}
    assert skipped <= {"search_with_attributes"}
    assert sum(result.status is Status.SUCCESS for result in results) > 60
