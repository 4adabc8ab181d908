"""What the application keeps in a browser, and how each cookie is named to be taken away."""

from __future__ import annotations

import pytest

from gateway.browsers.record import MAX_BYTES, AppCookie, domains_of, expiries, fitting, read_set_cookie


@pytest.mark.parametrize(
    ("value", "path", "cookie"),
    [
        ("a=1; Path=/pgadmin4", "/x", AppCookie("a", "", "/pgadmin4")),
        ("a=1;path=/pgadmin4 ; HttpOnly", "/x", AppCookie("a", "", "/pgadmin4")),
        ("a=1; Path=/one; Path=/two", "/x", AppCookie("a", "", "/two")),
        ("a=1; Domain=.Example.COM", "/", AppCookie("a", "example.com", "/")),
        ("a=1; Domain=example.com; Path=/x", "/", AppCookie("a", "example.com", "/x")),
        ("a=1", "/folder/page", AppCookie("a", "", "/folder")),  # RFC 6265 §5.1.4
        ("a=1; Path=", "/folder/deep/page", AppCookie("a", "", "/folder/deep")),
        ("a=1; Path=relative", "/folder/", AppCookie("a", "", "/folder")),
        ("a=1; Path=/", "/folder/page", None),
        ("a=1", "/page", None),
        ("no cookie", "/folder/page", None),
        ("a\tb=1; Path=/x", "/", None),
        ("a=1; Path=/x\x7f", "/", None),
        ("a=1; Path=/" + "x" * 300, "/", None),
    ],
)  # fmt: skip
def test_a_cookie_is_read_as_browsers_do(value: str, path: str, cookie: AppCookie | None) -> None:
    assert read_set_cookie(f"Set-Cookie: {value}".encode(), path) == cookie


@pytest.mark.parametrize(
    ("host", "domains"),
    [
        ("app.example.com", ["app.example.com", "example.com"]),
        ("app.example.com:8443", ["app.example.com", "example.com"]),
        ("localhost:8000", []),
        ("192.0.2.1", []),
        ("[2001:db8::1]:8000", []),
    ],
)
def test_a_cookie_may_be_of_any_domain_above_the_host(host: str, domains: list[str]) -> None:
    assert domains_of(host) == domains


def test_each_cookie_is_taken_away_once_in_every_guise() -> None:
    learnt = [AppCookie("user", "", "/pgadmin4"), AppCookie("sid", "example.com", "/")]
    lines = expiries(learnt, ["sid"], "app.example.com")
    assert lines == [
        "user=; Path=/pgadmin4; Max-Age=0; Secure",
        "sid=; Path=/; Domain=example.com; Max-Age=0; Secure",
        "sid=; Path=/; Max-Age=0; Secure",
        "sid=; Path=/; Domain=app.example.com; Max-Age=0; Secure",
    ]
    assert fitting(lines) == 4


def test_no_answer_grows_by_more_than_a_bounded_number_of_bytes() -> None:
    lines = expiries([], [f"{n:0250}" for n in range(14)], "app.example.com")
    assert sum(len(f"Set-Cookie: {line}\r\n") for line in lines[: fitting(lines)]) <= MAX_BYTES
    assert fitting(lines) >= 1


@pytest.mark.parametrize("name", ["a;b", "a,b", "a b", 'a"', "a\r\nb", "é", ""])
def test_a_name_that_could_say_more_is_not_written(name: str) -> None:
    assert expiries([], [name], "localhost") == []
