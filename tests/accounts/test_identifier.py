"""One spelling for each email, however it was typed; and two people never become one."""

from __future__ import annotations

import contextlib
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.model.account import MAX_IDENTIFIER, Unacceptable, is_respelled, normalise_domain, normalise_identifier
from tests.support.speed import slowness

DOTS = st.sampled_from([".", "\u3002", "\uff0e", "\uff61"])
LOCAL = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
LABEL = st.text(st.characters(categories=["L", "M", "N", "Pd", "Cf", "S"]), min_size=1, max_size=12)
DOMAIN = st.builds(
    lambda labels, dot, end: dot.join(labels) + end, st.lists(LABEL, min_size=1, max_size=3), DOTS, st.just("") | DOTS
)
KNOWN_DOMAIN = st.sampled_from(["acme.example", "STRASSE.example", "straße.example", "XN--STRAE-OQA.example"])
EMAILS = st.builds(
    lambda local, at, domain: f"{local}{at}{domain}", LOCAL, st.sampled_from("@@@\uff20"), DOMAIN | KNOWN_DOMAIN
)


@pytest.mark.parametrize(
    ("typed", "identifier"),
    [
        ("Karl@Straße.Example", "karl@xn--strae-oqa.example"),
        ("karl@strasse.example", "karl@strasse.example"),
        ("karl@STRAẞE.example", "karl@xn--strae-oqa.example"),
        ("karl@XN--STRAE-OQA.EXAMPLE", "karl@xn--strae-oqa.example"),
        ("a@βόλος.example", "a@xn--nxasmm1c.example"),
        ("a@क्\u200dष.example", "a@xn--11b2ezcw70k.example"),
        ("a@acme.example\u3002", "a@acme.example"),
        ("a@acme\uff0eexample\uff0e", "a@acme.example"),
        ("a@acme\uff61example\uff61", "a@acme.example"),
        ("a@acme.example.", "a@acme.example"),
        (" \u3000a@acme.example\u00a0\n", "a@acme.example"),
        ("ａｎｎ＠ａｃｍｅ．ｅｘａｍｐｌｅ", "ann@acme.example"),
        ("Zoe\u0308@acme.example", "zo\u00eb@acme.example"),
        ("zo\u00eb@acme.example", "zo\u00eb@acme.example"),
        ("a@bu\u0308cher.example", "a@xn--bcher-kva.example"),
        ("Weiß@acme.example", "weiß@acme.example"),
        ("weiss@acme.example", "weiss@acme.example"),
        ("a+b.c@acme.example", "a+b.c@acme.example"),
        ("a@so\u00adft.example", "a@soft.example"),
    ],
)
def test_an_email_has_one_spelling(typed: str, identifier: str) -> None:
    assert normalise_identifier(typed) == identifier
    assert normalise_identifier(identifier) == identifier


@pytest.mark.parametrize(
    "typed",
    [
        "", "a", "@", "a@", "@x.de", "a@b@x.de", "a\uff20b@x.de", '"a@x"@y.de', "a b@x.de", "a\u200db@x.de", "a\u202eb@x.de",
        ".a@x.de", "a.@x.de", "a..b@x.de", "a\ufe52@x.de", "a@x..de", "a@.x.de", "a@\u3002", "a@x\u3002\u3002de", "a@-x.de",
        "a@x\u200d.de", "a@x_y.de", "a@x de", "a@[192.0.2.1]", "a@xn--acme-.de", "a@xn---bbk.de", "a@xn--a", "a@\u2488com",
        "a@x\x00.de", "a\x00@x.de", "a@x/y.de", "a@℀.de",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(typed: str) -> None:
    with pytest.raises(Unacceptable):
        normalise_identifier(typed)


@given(EMAILS)
@example("\u13a0@x.de")
@example("\u0390@x.de")
@example("ΟΔΟΣ@x.de")
@example("\u0130@x.de")
@example("\u1e9e@x.de")
@example("a@\ufdfa.de")
def test_normalising_twice_changes_nothing(typed: str) -> None:
    try:
        identifier = normalise_identifier(typed)
    except Unacceptable:
        return
    assert normalise_identifier(identifier) == identifier
    assert len(identifier) <= MAX_IDENTIFIER
    assert identifier.partition("@")[2].isascii()


@given(EMAILS)
def test_composed_and_decomposed_spellings_are_the_same(typed: str) -> None:
    def outcome(form: str) -> str:
        try:
            return normalise_identifier(form)
        except Unacceptable:
            return "refused"

    composed, decomposed = unicodedata.normalize("NFC", typed), unicodedata.normalize("NFD", typed)
    assert outcome(composed) == outcome(decomposed)


def test_every_letter_before_the_at_settles_at_once_or_is_refused() -> None:
    settled = refused = 0
    for letter in map(chr, [*range(0x21, 0xD800), *range(0xE000, 0x20000)]):
        try:
            identifier = normalise_identifier(f"x{letter}@x.de")
        except Unacceptable:
            refused += 1
            continue
        assert normalise_identifier(identifier) == identifier, hex(ord(letter))
        settled += 1
    assert settled > 60_000
    assert refused > 10_000


@pytest.mark.parametrize(
    "typed",
    [
        "a@" + "字" * 250,
        "a@" + ".".join(["字" * 62] * 4)[:250],
        "a@" + ".".join(["字"] * 126),
        "a@" + ".".join(["\ufdfa" * 63] * 3),
        "a@" + ".".join(["xn--" + "9a" * 29] * 4)[:250],
        "\ufdfa" * 248 + "@x.de",
        "a" + "\u0316\u0301" * 120 + "@x.de",
        "a" + "\u0316\u0301" * 1_000_000 + "@x.de",
        " " * 1_000_000 + "a@x.de",
        "a@" + "." * 1_000_000,
    ],
    ids=lambda typed: f"{len(typed)}-{ord(typed[-6]):x}",
)
def test_the_worst_emails_cost_next_to_nothing(typed: str) -> None:
    """A file holds thousands of them; CPU time, so that a busy machine changes nothing."""
    began = time.thread_time()
    for _ in range(20):
        with contextlib.suppress(Unacceptable):
            normalise_identifier(typed)
    assert (time.thread_time() - began) / 20 < 0.005 * slowness()


def test_an_email_that_becomes_too_long_is_refused() -> None:
    """The column holds 254 characters; an ASCII form may be longer than what was typed."""
    with pytest.raises(Unacceptable):
        normalise_identifier("a" * 200 + "@" + "".join(chr(0x4E00 + 397 * n) for n in range(20)) + ".example")


@pytest.mark.parametrize(
    ("typed", "is_other"),
    [
        (" Ann@Acme.example ", False),
        ("ann@acme.example", False),
        ("ann@acme.example.", True),
        ("karl@straße.example", True),
        ("ａnn@acme.example", True),
    ],
)
def test_more_than_another_case_is_another_spelling(typed: str, is_other: bool) -> None:
    assert is_respelled(typed, normalise_identifier(typed)) is is_other


def test_a_domain_alone_is_normalised_by_the_same_rule() -> None:
    assert normalise_domain(" Straße.Example\u3002") == "xn--strae-oqa.example"
    for typed in ("", ".", "a@b", "-x", "x y", "字" * 64):
        with pytest.raises(Unacceptable):
            normalise_domain(typed)
