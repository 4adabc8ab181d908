"""What a new password must be: tables of what is refused and why, and what holds for any text whatever."""

from __future__ import annotations

import pstats
import unicodedata
from cProfile import Profile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.crypto.hashing import Hasher, Verdict
from gateway.model.secret import Secret
from gateway.passwords.guesses import SEEN_AT_LEAST, SEEN_AT_ONCE, window
from gateway.passwords.policy import MAX_BYTES, Person, Refusal, is_email, judge

ERIN = Person("erin.novak@acme.example", "Erin Novák", "acme-hr", "OtiumWork")
NOBODY = Person("", "", "", "")
GOOD = "quiet-lantern-29-orchard"

REFUSED = [
    ("", Refusal.SHORT),
    ("k7#Qz!p9Wx@", Refusal.SHORT),  # 11 characters of everything
    ("é" * 11, Refusal.SHORT),
    ("x" * (MAX_BYTES + 1), Refusal.LONG),
    ("é" * (MAX_BYTES // 2) + "x", Refusal.LONG),
    (GOOD + "\0", Refusal.UNTYPABLE),
    (GOOD + "\n", Refusal.UNTYPABLE),
    ("12/11/1999\n12345", Refusal.UNTYPABLE),
    (GOOD + "\x7f", Refusal.UNTYPABLE),
    (GOOD + "\ud800", Refusal.UNTYPABLE),
    (GOOD + "\ufffd", Refusal.UNTYPABLE),
    ("erin.novak@acme.example", Refusal.EMAIL),
    ("ERIN.NOVAK@acme.example", Refusal.EMAIL),
    ("my erin.novak@acme.example", Refusal.EMAIL),
    ("erin.novakerin.novak", Refusal.EMAIL),
    ("erin.novak12", Refusal.EMAIL),
    ("novak.erin12", Refusal.OWN_WORDS),
    ("ErinNovakAcme", Refusal.OWN_WORDS),
    ("kavonniremca", Refusal.OWN_WORDS),  # backwards
    ("OtiumWork!!!", Refusal.OWN_WORDS),
    ("ErinNovak1987", Refusal.OWN_WORDS),
    ("Acme-HR-Erin-1!", Refusal.OWN_WORDS),
    ("qwertyuiop12", Refusal.BREACHED),
    ("schoolgirlie", Refusal.BREACHED),
    ("SchoolGirlie", Refusal.BREACHED),
    ("P@ssw0rd1234", Refusal.COMMON),
    ("misunderstandings", Refusal.WORD),
    ("zse4rfvgy7ujm", Refusal.KEYBOARD),
    ("aaaaaaaaaaaaaa", Refusal.REPEAT),
    ("            ", Refusal.REPEAT),
    ("\u200b" * 12, Refusal.REPEAT),
    ("👩‍👩‍👧‍👦" * 3, Refusal.REPEAT),
    ("abcdefghijklm", Refusal.SEQUENCE),
    ("25.11.1987ab", Refusal.DATE),
]


@pytest.mark.parametrize(("password", "why"), REFUSED)
def test_a_poor_password_is_refused_for_its_reason(password: str, why: Refusal) -> None:
    assert judge(password, ERIN) is why


ACCEPTED = [
    GOOD,
    "correct horse battery staple",
    "vhqkzbwjtrxm",  # one class of characters is enough
    "Kürbiskernöl mit Zucchini",
    " leading and trailing count ",
    "ночной поезд до Самары",
    "烏龍茶在山上喝比較好喝嗎",
    "🦔 reads 🗺️ by 🕯️ light",
    "Erin Novák grows 7 quinces",
    "Erin🦔🗺🕯🌋🏔🦀🐙🎻",
    "🦔🗺🕯🌋🏔🦀🐙🎻🐝🪁🛶🧭",
    "zero\u200bwidth joins in the hedge",
    "a tab\u00a0like space is no tab",
    GOOD * 100,
    "é" * 6 + GOOD + "é" * ((MAX_BYTES - len(GOOD)) // 2 - 6),  # 4,096 bytes exactly
]


@pytest.mark.parametrize("password", ACCEPTED)
def test_a_good_password_of_any_kind_is_taken(password: str) -> None:
    assert judge(password, ERIN) is None


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_length_is_counted_in_code_points_of_the_composed_form(form: str) -> None:
    eleven, twelve = "éàüöñçžěkvq", "éàüöñçžěkvqj"
    assert judge(unicodedata.normalize(form, eleven), NOBODY) is Refusal.SHORT
    assert judge(unicodedata.normalize(form, twelve), NOBODY) is None


def test_neither_spelling_may_be_longer_than_the_sign_in_reads() -> None:
    fits_composed = GOOD + "é" * 1_500  # 3 bytes each as it is typed, 2 when it is composed
    assert judge(fits_composed, NOBODY) is None
    assert judge(unicodedata.normalize("NFD", fits_composed), NOBODY) is Refusal.LONG
    grows = GOOD + "\ufb2c" * 1_000  # 3 bytes that become 6
    assert judge(grows, NOBODY) is Refusal.LONG


async def test_what_is_taken_signs_in_in_either_spelling() -> None:
    hasher = Hasher(method="pbkdf2:sha256:1000", threads=1, queue=1)
    try:
        for password in ACCEPTED:
            stored = await hasher.hash(Secret(password))
            for form in ("NFC", "NFD"):
                typed = unicodedata.normalize(form, password)
                if len(typed.encode()) <= MAX_BYTES:
                    assert await hasher.verify(Secret(typed), stored) is Verdict.RIGHT
    finally:
        hasher.close()


@pytest.mark.parametrize(
    ("password", "identifier", "is_refused"),
    [
        ("another-tiger", "er", False),  # an email that is still being typed
        ("another-tiger", "er@", False),
        ("erer@x.example", "er@x.example", True),
        ("ab@x.example with eleven", "ab@x.example", False),
        ("ab@x.example and eleven", "ab@x.example", True),
        ("ERINERINERIN", " Erin@x.example ", True),
        ("zoe\u0308zoe\u0308zoe\u0308", "zoë@x.example", False),
    ],
)
def test_the_email_is_known_in_the_password(password: str, identifier: str, is_refused: bool) -> None:
    assert is_email(password, identifier) is is_refused


def test_a_long_password_is_as_good_as_its_better_end() -> None:
    filler = "a" * 200
    assert judge(GOOD + filler, NOBODY) is None
    assert judge(filler + GOOD, NOBODY) is None
    assert judge(filler + filler, NOBODY) is Refusal.REPEAT


def test_every_reason_is_a_sentence_with_a_way_out_and_a_code_of_its_own() -> None:
    assert len({refusal.code for refusal in Refusal}) == len(Refusal)
    for refusal in Refusal:
        assert refusal.sentence.endswith(".")
        assert len(refusal.sentence.split(". ")) == 2, refusal
        assert refusal.code.isidentifier()


def test_every_reason_can_be_translated() -> None:
    from pathlib import Path

    template = (Path(__file__).parents[2] / "gateway" / "locale" / "otium_gateway.pot").read_text()
    joined = template.replace('"\n"', "")
    assert [refusal for refusal in Refusal if f'"{refusal.sentence}"' not in joined] == []


# What trips estimators: dates of digits that are none of ours, letters whose lower case is longer, signs that may be letters.
NASTY = st.sampled_from(
    [
        *"0123456789/-._ \n\r\t\0",
        "\u0660",
        "\u0967",
        "\uff11",
        "²",
        "①",
        "İ",
        "ẞ",
        "ﬁ",
        "ŉ",
        "ǰ",
        "\u0345",
        "\u0301",
        *"4@8({[<3691!|70$5+7%2",
    ]
)
TEXT = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(), min_size=12, max_size=40),  # with lone surrogates
    st.text(NASTY, min_size=12, max_size=90),
    st.builds(lambda piece, times: piece * times, st.text(NASTY, min_size=1, max_size=9), st.integers(2, 12)),
)
PERSON = st.builds(Person, st.text(max_size=30), st.text(max_size=30), st.text(max_size=12), st.just("İtium"))


@settings(max_examples=400, deadline=None)
@example("7\n2504_540569\n8\n\n_02", NOBODY)
@given(TEXT, PERSON)
def test_any_text_gets_a_verdict_and_the_same_one_in_either_spelling(password: str, person: Person) -> None:
    verdict = judge(password, person)
    assert verdict is None or isinstance(verdict, Refusal)
    composed = unicodedata.normalize("NFC", password)
    assert judge(composed, person) is verdict
    assert (verdict is Refusal.SHORT) == (len(composed) < 12)
    if verdict is None:
        composed.encode("utf-8")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffd"), max_size=200))
@settings(deadline=None)
def test_more_around_a_good_password_never_makes_it_bad(more: str) -> None:
    assert judge(GOOD + " " * SEEN_AT_ONCE + more, NOBODY) is None


def test_a_password_full_of_signs_takes_a_bounded_number_of_steps() -> None:
    signs = "4@8({[<3691!|70$5+7%2" * 4
    judge(signs, ERIN)
    with Profile() as profile:
        assert judge(signs, ERIN) is None
    assert pstats.Stats(profile).total_calls < 300_000  # function calls, a fraction of a second
    assert len(window(signs)) == SEEN_AT_LEAST
    assert len(window(GOOD * 10)) == SEEN_AT_ONCE
