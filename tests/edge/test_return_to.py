"""Where a person goes after signing in: only ever here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.return_to import safe_return


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/a",
        "/a/b?x=1&y=%2Fz",
        "/a#part",
        "/a?next=/b#c",
        "/a%20b",
        "/.well-known/x",
        "/a?x=//evil",
        "/a//b",
        "/proj/group%2Fname/-/tree",
        "/x;jsessionid=1",
        "/x;jsessionid=1/y?z=%C3%A9",
        "/a?" + "q" * 8_000,
        "/caf%C3%A9",
        "/_gateway/me/security",
        "/_gateway/login/form/x",
        '/a?x={"b":[1]}',
    ],
)
def test_a_plain_path_of_this_site_is_kept(text: str) -> None:
    assert safe_return(text) == text


@pytest.mark.parametrize(
    "text",
    [
        None, "", " ", "a", "?x", "#x", "\\", "/\\evil", "//evil", "///evil", "/%09/evil", "/%0a/evil", "/%0d/evil",
        "/%2f%2fevil", "/%2fevil", "/%5cevil", "\\/evil", "https:evil", "https://app@evil", "https://app.evil",
        "javascript:alert(1)", "data:,x", "/\t/evil", "/\n/evil", "\t//evil", " //evil", "/ /evil", "/./evil", "/.//evil",
        "/..//evil", "/a/..//evil", "/;//evil", "/a\x00", "/é", "/a#b#c", "/" + "a" * 70_000, "/logout", "/login",
        "/login?next=/x", "/logout/", "/_gateway/auth", "/%6cogout", "/logout;x=1", "/login;jsessionid=1?next=/x",
        "/%2Fevil", "/;x//evil", "/;/%2fevil", "/%3b//evil", "/login%2Ftotp", "/logout%2F", "//x/login",
    ],
)  # fmt: skip
def test_everything_doubtful_leads_home(text: str | None) -> None:
    assert safe_return(text) == "/"


@given(st.text(max_size=40))
def test_no_text_leads_to_another_site(text: str) -> None:
    target = safe_return("/" + text)
    assert target.startswith("/")
    assert not target.startswith(("//", "/\\"))
    assert target.isprintable()
