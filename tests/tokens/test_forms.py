"""What people may ask for on /me/tokens."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from gateway.model.account import Role
from gateway.model.networks import is_within
from gateway.tokens.forms import Unfit, read_wanted
from gateway.web.visit import Form


@pytest.mark.parametrize("days", ["0", "367", "0366", "03660", "3660", "-1", "1e2", "٣", "9" * 30, "+1", "1 "])
def test_no_token_lives_longer_than_a_year(days: str) -> None:
    with pytest.raises(Unfit):
        read_wanted(Form({"name": "a", "days": days}), Role.ADMIN)


@pytest.mark.parametrize("days", ["1", "90", "366", "090"])
def test_the_days_are_as_written(days: str) -> None:
    assert read_wanted(Form({"name": "a", "days": days}), Role.ADMIN).days == int(days)


@pytest.mark.parametrize(
    ("line", "network", "client"),
    [
        ("192.0.2.7/24", "192.0.2.0/24", "::ffff:192.0.2.9"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24", "192.0.2.9"),  # as a dual-stack socket prints IPv4
        ("2001:db8:12::/48", "2001:db8:12::/48", "2001:db8:12::1"),
    ],
)
def test_a_network_is_compared_with_clients_however_both_are_spelled(line: str, network: str, client: str) -> None:
    wanted = read_wanted(Form({"name": "a", "networks": line}), Role.ADMIN)
    assert wanted.networks == (ip_network(network),)
    assert is_within(client, *wanted.networks)


def test_what_is_no_network_is_named() -> None:
    with pytest.raises(Unfit, match="networks") as refused:
        read_wanted(Form({"name": "a", "networks": "192.0.2.0/24\noffice"}), Role.ADMIN)
    assert refused.value.line == "office"


def test_a_path_is_no_longer_than_a_page_can_show() -> None:
    with pytest.raises(Unfit, match="paths"):
        read_wanted(Form({"name": "a", "paths": "/" + "a" * 200}), Role.ADMIN)
    assert read_wanted(Form({"name": "a", "paths": "/" + "a" * 199}), Role.ADMIN).paths == ("/" + "a" * 199,)
