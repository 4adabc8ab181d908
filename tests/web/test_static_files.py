"""Stylesheets and scripts are sent compressed to who accepts that, pages never."""

from __future__ import annotations

import gzip

import pytest

from tests.support.gateway import Gateway
from tests.support.raw import get

STYLE = "/_gateway/static/gateway.css"


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "*"])
def test_who_accepts_it_gets_the_same_compressed(gateway: Gateway, accepted: str) -> None:
    plain = gateway.exchange(get(STYLE))
    packed = gateway.exchange(get(STYLE, f"Accept-Encoding: {accepted}"))
    assert (packed.get("content-encoding"), packed.get("vary")) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 3
    assert (plain.get("content-encoding"), plain.get("vary")) == (None, "Accept-Encoding")


@pytest.mark.parametrize("accepted", ["br", "gzip;q=0", "identity", "gzip;q=nonsense, x", ""])
def test_others_get_it_as_it_is(gateway: Gateway, accepted: str) -> None:
    found = gateway.exchange(get(STYLE, f"Accept-Encoding: {accepted}"))
    assert (found.status, found.get("content-encoding")) == (200, None)
    assert found.body.startswith(b":root")


def test_a_page_is_never_compressed(gateway: Gateway) -> None:
    """Its length would tell what is in it beside the text of a stranger (BREACH)."""
    assert gateway.exchange(get("/login", "Accept-Encoding: gzip")).get("content-encoding") is None
