from __future__ import annotations

import pytest

from gateway.sso.oidc.claims import read_claims
from gateway.sso.oidc.record import Claims, Kind

TENANT, HOME = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
OBJECT = "21ec2020-3aea-4069-a2dd-08002b30309d"
GIVEN: dict[str, object] = {"iss": "https://id.example.com", "sub": "erin", "email": "erin@acme.example"}


def read(kind: Kind = Kind.GENERIC, **given: object) -> Claims:
    return read_claims({**GIVEN, **given}, kind, auth_time=None)


def test_what_a_person_is_called_and_belongs_to_is_read() -> None:
    found = read(
        name="Erin  Example", email_verified=True, amr=["pwd", "mfa"], acr="2fa", groups=["/staff"], roles=["Manager"],
        sid="s1", acrs=["c1"], tid=TENANT, oid=OBJECT, hd="acme.example", idp="x",
    )  # fmt: skip
    assert found == Claims(
        "https://id.example.com", "erin", "erin@acme.example", True, "Erin Example", amr=("pwd", "mfa"), acr="2fa",
        groups=("/staff",), session_id="s1",
    )  # fmt: skip
    assert found.lists["roles"] == ("Manager",)
    assert found.key == "erin"  # only Entra ID's `tid` and `oid` mean something


@pytest.mark.parametrize("verified", [None, False, "true", 1, "1", [True], {}])
def test_an_email_is_verified_only_if_the_provider_says_so_plainly(verified: object) -> None:
    assert not read(email_verified=verified).is_email_verified
    assert not read(xms_edov=True).is_email_verified


@pytest.mark.parametrize(
    "email",
    [None, 5, "", "erin", "erin@evil.example@acme.example", "a@b\x00", "a@b\n", ["erin@acme.example"], 300 * "a" + "@" + 20 * "b"],
)  # fmt: skip
def test_what_is_no_email_is_left_out_and_not_verified(email: object) -> None:
    found = read(email=email, email_verified=True)
    assert (found.email, found.is_email_verified) == ("", False)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Erin\r\nBcc: x", "Erin Bcc: x"),
        ("\u202eErin\x00\x1b[31m", "Erin [31m"),
        ("  ", ""),
        (5, ""),
        (["Erin"], ""),
        ("Ë" * 500, "Ë" * 200),
    ],
)
def test_a_name_is_one_short_line(name: object, shown: str) -> None:
    assert read(name=name).name == shown


@pytest.mark.parametrize(
    "value", [None, "mfa", 5, {"mfa": 1}, ["mfa", 5], ["mfa", ""], ["mfa", "x" * 257], ["mfa"] * 1_001]
)
def test_a_list_that_makes_no_sense_is_empty(value: object) -> None:
    found = read(amr=value, groups=value)
    assert (found.amr, found.groups) == ((), ())
    assert not found.shows_two_factors


@pytest.mark.parametrize(
    ("claims", "wanted", "is_reached"),
    [
        ({"acr": "silver"}, ("gold", "silver"), True),
        ({"acr": "silver"}, ("gold",), False),
        ({"acr": "silver"}, (), False),
        ({}, ("",), False),
        ({}, ("gold",), False),
        ({"acrs": ["p1", "c1"]}, ("c1",), True),
        ({"acrs": ["p1"]}, ("c1",), False),
        ({"acrs": "c1"}, ("c1",), False),
        ({"acr": ["c1"]}, ("c1",), False),
    ],
)
def test_a_class_of_sign_in_is_reached_if_it_is_named(
    claims: dict[str, object], wanted: tuple[str, ...], is_reached: bool
) -> None:
    assert read(Kind.ENTRA, **claims).reaches(wanted) == is_reached


def test_two_factors_are_shown_by_mfa() -> None:
    assert read(amr=["pwd", "mfa"]).shows_two_factors
    assert not read(amr=["pwd", "otp"]).shows_two_factors


def test_entra_names_people_by_tenant_and_object() -> None:
    found = read(Kind.ENTRA, tid=TENANT, oid=OBJECT)
    assert (found.tenant_id, found.object_id, found.key) == (TENANT, OBJECT, f"{TENANT}/{OBJECT}")


@pytest.mark.parametrize(
    ("claims", "is_verified", "is_guest"),
    [
        ({}, False, False),
        ({"email_verified": True}, False, False),
        ({"xms_edov": True}, True, False),
        ({"xms_edov": "1"}, True, False),
        ({"xms_edov": 1}, True, False),
        ({"xms_edov": "true", "acct": 0}, True, False),
        ({"xms_edov": False}, False, False),
        ({"xms_edov": "0"}, False, False),
        ({"xms_edov": [True]}, False, False),
        ({"xms_edov": True, "acct": 1}, False, True),
        ({"xms_edov": True, "idp": f"https://sts.windows.net/{HOME}/"}, False, True),
        ({"xms_edov": True, "idp": f"https://sts.windows.net/{TENANT}/"}, True, False),
        ({"xms_edov": True, "idp": "live.com"}, False, True),
        ({"xms_edov": True, "idp": ["x"]}, False, True),
    ],
)
def test_entra_vouches_for_emails_of_proved_domains_and_never_for_guests(
    claims: dict[str, object], is_verified: bool, is_guest: bool
) -> None:
    found = read(Kind.ENTRA, tid=TENANT, oid=OBJECT, **claims)
    assert (found.is_email_verified, found.is_guest) == (is_verified, is_guest)


@pytest.mark.parametrize(
    ("claims", "has_more"),
    [
        ({}, False),
        ({"groups": ["a"]}, False),
        ({"_claim_names": {"groups": "src1"}}, True),
        ({"_claim_names": {"other": "src1"}}, False),
        ({"_claim_names": "groups"}, False),
        ({"hasgroups": True}, True),
    ],
)
def test_entra_says_if_there_are_too_many_groups(claims: dict[str, object], has_more: bool) -> None:
    assert read(Kind.ENTRA, **claims).has_more_groups == has_more
    assert not read(Kind.KEYCLOAK, **claims).has_more_groups


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (["a", "b"], ("a", "b")),
        ("a", ("a",)),
        ("", None),
        ("a\nb", None),
        ("x" * 257, None),
        (["a", 5], None),
        ([], None),
        (5, None),
        ({"a": "b"}, None),
        (None, None),
    ],
)
def test_any_claim_that_is_a_list_of_texts_or_one_text_can_be_asked_for(
    value: object, texts: tuple[str, ...] | None
) -> None:
    assert read(**{"https://acme.example/roles": value}).lists.get("https://acme.example/roles") == texts
