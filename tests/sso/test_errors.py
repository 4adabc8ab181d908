from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.secret import Secret
from gateway.sso.consoles import PLACES, Part
from gateway.sso.oidc.encoding import MAX_SHOWN
from gateway.sso.oidc.errors import judge_error
from gateway.sso.oidc.record import Kind, Refusal, Refused
from gateway.sso.outcome import NotSignedIn
from gateway.sso.reasons import REASONS, told

TRACE = "\r\nTrace ID: 0a\r\nCorrelation ID: 0b\r\nTimestamp: 2026-11-29 19:00:00Z"


@pytest.mark.parametrize(
    ("error", "description", "refusal"),
    [
        ("invalid_client", "AADSTS7000215: Invalid client secret provided.", Refusal.CLIENT),
        ("invalid_client", "AADSTS7000222: The provided client secret keys are expired.", Refusal.CLIENT_EXPIRED),
        ("unauthorized_client", "AADSTS700016: Application with identifier 'x' was not found.", Refusal.CLIENT_UNKNOWN),
        ("invalid_client", "AADSTS700027: Client assertion failed signature validation.", Refusal.CLIENT_KEY),
        ("invalid_request", "AADSTS9002327: Tokens issued for the 'Single-Page Application' …", Refusal.CLIENT_PUBLIC),
        ("invalid_request", "AADSTS50011: The redirect URI specified …", Refusal.REDIRECT_URI),
        ("access_denied", "AADSTS50105: Your administrator has configured …", Refusal.NOT_ASSIGNED),
        ("interaction_required", "AADSTS50105: Your administrator has configured …", Refusal.NOT_ASSIGNED),
        ("invalid_grant", "AADSTS65001: The user or administrator has not consented.", Refusal.CONSENT),
        ("access_denied", "AADSTS65004: User declined to consent.", Refusal.DECLINED),
        ("invalid_grant", "AADSTS54005: OAuth2 Authorization code was already redeemed.", Refusal.CODE),
        ("access_denied", "AADSTS53003: Access has been blocked by Conditional Access.", Refusal.CONDITIONAL_ACCESS),
        ("invalid_grant", "AADSTS50020: User account from identity provider …", Refusal.PERSON),
        ("invalid_client", "AADSTS1234567: A number of tomorrow.", Refusal.CLIENT),
        ("access_denied", "", Refusal.DECLINED),
        ("invalid_client", "", Refusal.CLIENT),
        ("unauthorized_client", "Invalid client or Invalid client credentials", Refusal.CLIENT),
        ("invalid_grant", "", Refusal.CODE),
        ("redirect_uri_mismatch", "", Refusal.REDIRECT_URI),
        ("invalid_request", "Invalid parameter: redirect_uri", Refusal.REDIRECT_URI),
        ("invalid_grant", "Incorrect redirect_uri", Refusal.REDIRECT_URI),
        ("invalid_request", "Invalid redirect URL", Refusal.REDIRECT_URI),
        ("temporarily_unavailable", "", Refusal.UNAVAILABLE),
        ("unmet_authentication_requirements", "", Refusal.CLASS_UNMET),
        ("something_new", "", Refusal.PROVIDER_ERROR),
        (None, None, Refusal.PROVIDER_ERROR),
        (["invalid_client"], {"a": 1}, Refusal.PROVIDER_ERROR),
        ('"><script>', "", Refusal.PROVIDER_ERROR),
    ],
)
def test_an_error_is_told_apart(error: object, description: object, refusal: Refusal) -> None:
    assert judge_error(error, description).reason is refusal


def test_what_the_provider_says_is_one_short_line_without_secrets_and_emails() -> None:
    text = f"AADSTS7000215: 's3cr€t' is wrong for erin@acme.example, and CODE too.{TRACE}"
    found = judge_error("invalid_client", text, [Secret("s3cr€t"), Secret("CODE"), Secret("")])
    assert found == Refused(
        Refusal.CLIENT,
        "invalid_client: AADSTS7000215: '…' is wrong for … and … too."
        "Trace ID: 0aCorrelation ID: 0bTimestamp: 2026-11-29 19:00:00Z",
    )


def test_a_secret_at_the_end_of_a_long_text_is_not_shown_in_part() -> None:
    found = judge_error("invalid_client", (MAX_SHOWN - 20) * "a" + " the whole secret", [Secret("the whole secret")])
    assert len(found.detail) <= MAX_SHOWN
    assert "the wh" not in found.detail


@given(st.text() | st.integers() | st.none(), st.text() | st.lists(st.text()))
def test_nothing_that_a_provider_says_breaks_the_reader(error: object, description: object) -> None:
    found = judge_error(error, description, [Secret("0")])
    assert found.detail == "" or found.detail.isprintable()


def test_every_refusal_is_told_in_plain_words() -> None:
    assert REASONS.keys() == set(Refusal)
    for reason in REASONS.values():
        assert reason.wrong.endswith(".")
        assert reason.mend.endswith(".")


def test_every_place_is_used_and_known_at_entra_id() -> None:
    assert {reason.place for reason in REASONS.values()} - {None} == set(Part)
    assert {place for place, kind in PLACES if kind is Kind.ENTRA} == set(Part)


def test_the_person_is_told_only_what_to_do() -> None:
    whys = {"late", "cancelled", "denied", "stale", "provider"}
    assert {told(refusal) for refusal in Refusal} == whys
    assert NotSignedIn(told(Refusal.SIGNATURE)) == NotSignedIn("provider")
