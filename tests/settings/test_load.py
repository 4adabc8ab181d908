"""Settings: every mistake is said, with its place and a way out; nothing good is refused."""

from __future__ import annotations

import base64
import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gateway.model.account import Role
from gateway.model.secret import Secret
from gateway.settings import BadSettings, Settings, load
from gateway.settings.load import MIN_SECRET_BYTES, load_for_command
from gateway.settings.record import FROM_ELSEWHERE, Lifespan
from gateway.settings.values import read_resolver
from gateway.wire.http1 import HOP_BY_HOP
from gateway.wire.names import FORGED, HINTS

CONFIG = Path(__file__).parent.parent.parent / "config"
SECRET = base64.b64encode(hashlib.sha384(b"test").digest()).decode()


def read(tmp_path: Path, settings: str = "", access: str = "", **environ: str) -> Settings:
    (tmp_path / "gateway.toml").write_text(settings)
    (tmp_path / "access.toml").write_text(access)
    return load(tmp_path, {"GATEWAY_SECRET": SECRET, **environ})


def problems(tmp_path: Path, settings: str = "", access: str = "", **environ: str) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        read(tmp_path, settings, access, **environ)
    return [str(problem).replace(str(tmp_path) + "/", "") for problem in caught.value.problems]


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        if name in FROM_ELSEWHERE:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys_of(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", None


def tables_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield f"{prefix}{name}"
            yield from tables_of(field.annotation, f"{prefix}{name}.")


def at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree[part] if isinstance(tree, dict) else getattr(tree, part)
    return tree


def test_the_example_shows_every_key_with_its_default() -> None:
    shown = tomllib.loads((CONFIG / "gateway.toml").read_text())
    defaults = Settings()
    for key, _ in keys_of(Settings):
        value, default = at(shown, key), at(defaults, key)
        assert value == (list(default) if isinstance(default, tuple) else default), key


def test_the_examples_load() -> None:
    settings = load(CONFIG, {"GATEWAY_SECRET": SECRET})
    assert settings.access.rules.rules["/admin"].roles == {Role.ADMIN}
    assert settings.access.rules.public[""].path == ""
    assert settings.access.rules.machine["/api/desktop"].is_prefix


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        'public_url = "https://a.example"\n[listen]\nworkers = 3\n',
        GATEWAY_LISTEN__WORKERS="5",
        GATEWAY_PUBLIC_URL="https://b.example",
        GATEWAY_LISTEN__TRUSTED_PROXIES='["10.0.0.0/8", "unix"]',
    )
    assert settings.listen.workers == 5
    assert settings.public_url == "https://b.example"
    assert settings.listen.trusted_proxies == ("10.0.0.0/8", "unix")


def test_a_table_that_is_given_in_part_keeps_its_other_defaults(tmp_path: Path) -> None:
    settings = read(
        tmp_path, "[sessions.members]\nabsolute_seconds = 700_000", GATEWAY_SESSIONS__OWNERS__IDLE_SECONDS="600"
    )
    assert settings.sessions.owners == Lifespan(idle_seconds=600, absolute_seconds=43_200)
    assert settings.sessions.members == Lifespan(idle_seconds=604_800, absolute_seconds=700_000)


@pytest.mark.parametrize("table", list(tables_of(Settings)))
def test_a_table_that_is_given_empty_changes_nothing(tmp_path: Path, table: str) -> None:
    assert read(tmp_path, f"[{table}]") == read(tmp_path)


def test_a_mistake_in_what_two_keys_mean_together_names_the_variable_that_gave_one(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        read(tmp_path, GATEWAY_SESSIONS__OWNERS__IDLE_SECONDS="99999")
    assert str(caught.value).startswith(
        "environment: GATEWAY_SESSIONS__OWNERS__IDLE_SECONDS: idle_seconds must not be longer"
    )


def test_owners_come_from_file_and_environment_in_one_spelling(tmp_path: Path) -> None:
    settings = read(tmp_path, access='owners = ["A@X.example"]', OPS_ACCESS_EMAILS=" b@y.example , C@Z.EXAMPLE.")
    assert settings.access.owners == {"a@x.example", "b@y.example", "c@z.example"}


SETTINGS_MISTAKES = [
    ('[pages]\nproduct = "Otium: Work"', "gateway.toml: pages.product: leave the colon out; in authenticator apps"),
    ('[pages]\nproduct = " "', "gateway.toml: pages.product: write a name of one line"),
    ('[pages]\nproduct = "Otium\\nWork"', "gateway.toml: pages.product: write a name of one line"),
    ("[listen]\nworker = 2", "gateway.toml: listen.worker: there is no such key; did you mean workers?"),
    ("[lissten]\nworkers = 2", "gateway.toml: lissten: there is no such key; did you mean listen?"),
    ("[listen]\nworkers = 0", "gateway.toml: listen.workers: should be greater than or equal to 1"),
    ('[listen]\naddresses = ["8000"]', "gateway.toml: listen.addresses (1st entry): write host:port"),
    ("[listen]\naddresses = []", "gateway.toml: listen.addresses: give at least one address"),
    (
        '[listen]\ntrusted_proxies = ["proxy"]',
        "gateway.toml: listen.trusted_proxies (1st entry): write an address, a network",
    ),
    ('[upstream]\naddress = "localhost"', "gateway.toml: upstream.address: write host:port"),
    ('[upstream]\naddress = "http://127.0.0.1:5055"', "gateway.toml: upstream.address: write host:port"),
    ('[upstream]\naddress = "127.0.0.1:5055/app"', "gateway.toml: upstream.address: write host:port"),
    ('[upstream]\naddress = "::1:5055"', "gateway.toml: upstream.address: write host:port"),
    ('[upstream]\naddress = "[::g]:5055"', "gateway.toml: upstream.address: write host:port"),
    ('[upstream]\naddress = "127.0.0.1:8000"', "gateway.toml: upstream.address: the gateway itself listens on 127"),
    ('[listen]\naddresses = "127.0.0.1:80"', "gateway.toml: listen.addresses: must be a list, even with one entry"),
    ("[listen]\naddresses = [8000]", 'gateway.toml: listen.addresses (1st entry): must be text, in "quotes"'),
    ("listen = 8000", "gateway.toml: listen: must be a table"),
    ('hosts = ["a b"]', "gateway.toml: hosts (1st entry): write a host name"),
    (
        'public_url = "http://app.example.com"',
        "gateway.toml: public_url: must be https; http is only allowed for localhost",
    ),
    ('public_url = "https://app.example.com/x"', "gateway.toml: public_url: use the address people type"),
    ('public_url = "app.example.com"', "gateway.toml: public_url: use the address people type"),
    ('[store]\nurl = "mysql://x"', "gateway.toml: store.url: a store is sqlite:///file"),
    ('[sessions]\ncookie = "session"', "gateway.toml: sessions.cookie: begin with __Host-"),
    (
        "[sessions.owners]\nidle_seconds = 9\nabsolute_seconds = 5",
        "gateway.toml: sessions.owners: idle_seconds must not be longer",
    ),
    ('[identity.names]\nuzer = "X"', "gateway.toml: identity.names: there is no 'uzer'"),
    ('[identity.names]\nuser = "X_User"', "gateway.toml: identity.names.user: 'X_User' is no header name"),
    ('[identity.names]\nuser = "Remote-Email"', "gateway.toml: identity.names: 'remote-email' is given twice"),
    ('[pages]\naccent = "blue"', "gateway.toml: pages.accent: write a colour like #2457c5"),
    ('[pages]\npaths = { login = "/a", logout = "/a" }', "gateway.toml: pages.paths: two pages have the same path"),
    ('[pages]\npaths = { login = "a" }', "gateway.toml: pages.paths.login: write a plain path"),
    ('[pages]\nsupport = "+49 123"', "gateway.toml: pages.support: write an email, or an address that begins"),
    (
        '[pages]\nsupport = "http://help.example"',
        "gateway.toml: pages.support: write an email, or an address that begins",
    ),
    ('[pages]\nlogo = "https://cdn.example/logo.svg"', "gateway.toml: pages.logo: write a path on this site"),
    ('[pages]\nlogo = "//cdn.example/logo.svg"', "gateway.toml: pages.logo: write a path on this site"),
    ('[signup]\nmode = "domains"', "gateway.toml: signup.domains: with mode"),
    ('[signup.domains]\n"Acme.example" = "acme"', "gateway.toml: signup.domains: write 'Acme.example' in lower case"),
    (
        '[signup.domains]\n"straße.example" = "acme"',
        "gateway.toml: signup.domains: write 'straße.example' in lower case and ASCII, as in an identifier: xn--strae-oqa.example",
    ),
    ('mail_password = "x"', "gateway.toml: mail_password: the mail server's password comes from the environment"),
    ('[mail]\nsender = "nobody"', "gateway.toml: mail.sender: write an address, or a name and an address"),
    ('[mail]\nsender = "a@x.example, b@y.example"', "gateway.toml: mail.sender: write an address"),
    ('[mail]\nsender = "A\\r\\nBcc: b@y.example <a@x.example>"', "gateway.toml: mail.sender: write an address"),
    ('[mail]\nusername = "gateway"', "gateway.toml: mail.username: no password set; provide it as"),
    ('[mail]\nca_file = "/none/ca.pem"', "gateway.toml: mail.ca_file: there is no such file"),
    ('[factors]\nrp_id = "https://localhost"', "gateway.toml: factors.rp_id: write a domain like example.com, without"),
    ('[factors]\nrp_id = "localhost:8000"', "gateway.toml: factors.rp_id: write a domain like example.com, without"),
    ('[factors]\nrp_id = "127.0.0.1"', "gateway.toml: factors.rp_id: write a domain like example.com, without"),
    ('[factors]\nrp_id = "example.com"', "gateway.toml: factors.rp_id: browsers have no passkeys for example.com at"),
    ('[passwords]\nbreach_list = "/none/list"', "gateway.toml: passwords.breach_list: there is no such file or folder"),
    ('[passwords]\nbreach_list = "/etc/passwd"', "gateway.toml: passwords.breach_list: each line has to be a SHA-1"),
    ('[passwords]\nbreach_list = "/etc"', "gateway.toml: passwords.breach_list: the folder holds no range"),
    ('[sso]\nresolver = "ns.example.com"', "gateway.toml: sso.resolver: write an IP address, with or without :port"),
    ('[sso]\nresolver = "192.0.2.53:0"', "gateway.toml: sso.resolver: write an IP address, with or without :port"),
    ('[sso]\nresolver = "u@192.0.2.53:53"', "gateway.toml: sso.resolver: write an IP address, with or without :port"),
    ('[passwords]\nbreach_api = "http://api.example.com/range"', "gateway.toml: passwords.breach_api: write https"),
    ('[passwords]\nbreach_api = "api.example.com"', "gateway.toml: passwords.breach_api: write the address up to"),
    (
        '[passwords]\nbreach_api = "ftp://api.example.com"',
        "gateway.toml: passwords.breach_api: write the address up to",
    ),
    (
        '[passwords]\nbreach_api = "https://u:p@a.example"',
        "gateway.toml: passwords.breach_api: write the address up to",
    ),
    (
        '[passwords]\nbreach_api = "https://a.example/?x="',
        "gateway.toml: passwords.breach_api: write an address without ?",
    ),
    ('[passwords]\nbreach_api = "https://[::1"', "gateway.toml: passwords.breach_api: "),
    ("[passwords]\nbreach = 1", "gateway.toml: passwords.breach: there is no such key; did you mean breach_api?"),
    ('[admin]\nlisten = "0.0.0.0:9464"', "gateway.toml: admin.listen: other machines could reach this address"),
    ('[admin]\nlisten = "metrics.example:9464"', "gateway.toml: admin.listen: other machines could reach"),
    (
        '[admin]\nlisten = "127.0.0.1:8000"',
        "gateway.toml: admin.listen: this address is already used in listen.addresses",
    ),
    ('[admin]\nlisten = "127.0.0.1:5000"', "gateway.toml: admin.listen: the application is at this address"),
    ('[admin]\nlisten = "9464"', "gateway.toml: admin.listen: write host:port"),
    (
        '[factors.second]\nowner = "optional"',
        "gateway.toml: factors.second.owner: should be 'required' or 'phishing_resistant'",
    ),
    ("[listen]\nhung_seconds = 1", "gateway.toml: listen.hung_seconds: should be greater than or equal to 2"),
    ('secrets = ["x"]', "gateway.toml: secrets: secrets come from the environment"),
    ('[access]\nowners = ["a@x.example"]', "gateway.toml: access: the allowlists stand in access.toml"),
    ("[listen", "gateway.toml: this is not TOML"),
    ("[page_views]\nkeep_days = 367", "gateway.toml: page_views.keep_days: should be less than or equal to 366"),
    (
        '[page_views]\nleave_out = ["static"]',
        "gateway.toml: page_views.leave_out: write folders like /static/ and endings like *.css",
    ),
    ("[audit]\nkeep_days = -1", "gateway.toml: audit.keep_days: should be greater than or equal to 0"),
    ('[audit]\ncheckpoint_mail = "a@b, c@d"', "gateway.toml: audit.checkpoint_mail: write one plain address"),
    ("[audit]\nspray_accounts = 50", "gateway.toml: audit.spray_accounts: should be less than or equal to 40"),
    ("[audit]\nkeep = 1", "gateway.toml: audit.keep: there is no such key; did you mean keep_days?"),
]


@pytest.mark.parametrize(("text", "said"), SETTINGS_MISTAKES)
def test_a_mistake_in_the_settings_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    found = problems(tmp_path, text)
    assert [problem for problem in found if problem.startswith(said)] == found


@pytest.mark.parametrize("address", ["127.0.0.5:9464", "[::1]:9464", "localhost:9464", "unix:/run/x.sock", ""])
def test_the_admin_listener_is_for_this_machine(tmp_path: Path, address: str) -> None:
    assert read(tmp_path, f'[admin]\nlisten = "{address}"').admin.listen == address


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("192.0.2.53:5353", ("192.0.2.53", 5_353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5_353)),
    ],
)
def test_the_resolver_is_an_address_with_or_without_a_port(
    tmp_path: Path, given: str, understood: tuple[str, int]
) -> None:
    assert read_resolver(read(tmp_path, f'[sso]\nresolver = "{given}"').sso.resolver) == understood


def test_the_admin_listener_is_elsewhere_only_on_purpose(tmp_path: Path) -> None:
    settings = read(tmp_path, '[admin]\nlisten = "0.0.0.0:9464"\nallow_elsewhere = true')
    assert settings.admin.listen == "0.0.0.0:9464"


ACCESS_MISTAKES = [
    (
        'owners = ["a@evil@example.com"]',
        "access.toml: owners (1st entry): 'a@evil@example.com': Enter a valid email address",
    ),
    (
        'owners = ["export.1f@service.invalid"]',
        "access.toml: owners (1st entry): 'export.1f@service.invalid' is a service account, and only people can be owners",
    ),
    (
        'rules = [{ path = "/", roles = ["emploee"] }]',
        "access.toml: rules (1st entry).roles (1st entry): should be 'employee', 'manager' or 'admin'",
    ),
    ('rules = [{ path = "admin" }]', "access.toml: rules (1st entry).path: write a plain path"),
    ('rules = [{ path = "/a//b" }]', "access.toml: rules (1st entry).path: write a plain path"),
    ('rules = [{ path = "/a/../b" }]', "access.toml: rules (1st entry).path: write a plain path"),
    ('rules = [{ path = "/a%20b" }]', "access.toml: rules (1st entry).path: write a plain path"),
    ('rules = [{ path = "/a;b" }]', "access.toml: rules (1st entry).path: write a plain path"),
    ('rules = [{ path = "/a/" }]', "access.toml: rules (1st entry).path: leave out the final slash"),
    ('rules = [{ path = "/" }, { path = "/" }]', "access.toml: rules: / stands there twice"),
    ('public = [{ path = "/a", methods = ["get"] }]', "access.toml: public (1st entry).methods (1st entry): there are"),
    ('public = [{ path = "/a" }]\nmachine = [{ path = "/a" }]', "access.toml: machine: /a stands in public as well"),
    (
        'rules = [{ path = "/", role = "admin" }]',
        "access.toml: rules (1st entry).role: there is no such key; did you mean roles?",
    ),
    (
        'rules = [{ path = "/", tenants = ["Acme Inc"] }]',
        "access.toml: rules (1st entry).tenants (1st entry): Use 1 to 63 lowercase letters",
    ),
    (
        'owner_networks = ["office"]',
        "access.toml: owner_networks (1st entry): This isn’t an IP address or a network: office",
    ),
    (
        'owner_networks = ["10.0.0.1 until 2027-02-30"]',
        "access.toml: owner_networks (1st entry): After “until” comes a date",
    ),
    (
        'owner_networks = ["10.0.0.1 until 2027-01-01"]',
        "access.toml: owner_networks: At least one line must have no “until”",
    ),
    ('public = "/a"', "access.toml: public: must be a list, even with one entry: [ … ]"),
    ('public = ["/a"]', "access.toml: public (1st entry): must be a table, like { name = … }"),
    ('rules = [{ roles = ["admin"] }]', "access.toml: rules (1st entry).path: is required"),
    ('rules = [{ path = "/" }, { path = "b" }]', "access.toml: rules (2nd entry).path: write a plain path"),
]


@pytest.mark.parametrize(("text", "said"), ACCESS_MISTAKES)
def test_a_mistake_in_the_access_file_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    found = problems(tmp_path, access=text)
    assert found
    assert [problem for problem in found if problem.startswith(said)] == found


def test_mistakes_in_the_environment_name_the_variable(tmp_path: Path) -> None:
    assert problems(tmp_path, GATEWAY_LISTEN__WORKERS="many") == [
        "environment: GATEWAY_LISTEN__WORKERS: must be a whole number"
    ]
    assert problems(tmp_path, OPS_ACCESS_EMAILS="nobody")[0].startswith("environment: OPS_ACCESS_EMAILS: 'nobody'")


def test_a_mistake_within_a_list_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, GATEWAY_LISTEN__ADDRESSES='["[::1]:80", "8000"]')
    assert said.startswith("environment: GATEWAY_LISTEN__ADDRESSES (2nd entry): write host:port")


@pytest.mark.parametrize("address", ["app:5000", "[::1]:5000", "127.0.0.2:8000", "unix:/run/app.sock", "10.0.0.5:8000"])
def test_the_application_is_at_an_address_of_its_own(tmp_path: Path, address: str) -> None:
    assert read(tmp_path, f'[upstream]\naddress = "{address}"').upstream.address == address


@pytest.mark.parametrize(
    ("upstream", "listen"),
    [
        ("127.0.0.1:8000", "0.0.0.0:8000"),
        ("localhost:8000", "[::]:8000"),
        ("localhost:8000", "127.0.0.1:8000"),
        ("[::1]:8000", "[::1]:8000"),
        ("unix:/run/gateway.sock", "unix:/run/gateway.sock"),
    ],
)
def test_the_gateway_does_not_ask_itself(tmp_path: Path, upstream: str, listen: str) -> None:
    (said,) = problems(tmp_path, f'[upstream]\naddress = "{upstream}"\n[listen]\naddresses = ["{listen}"]')
    assert said.startswith("gateway.toml: upstream.address: the gateway itself listens on")


@pytest.mark.parametrize(
    "name",
    [
        *sorted(name.decode() for name in HOP_BY_HOP | HINTS | FORGED),
        *("Host", "Cookie", "Content-Length", "Expect", "X-Forwarded-Proto", "Sec-WebSocket-Key", "X-Accel-Redirect"),
    ],
)
def test_nobody_is_named_in_a_field_that_says_something_else(tmp_path: Path, name: str) -> None:
    (said,) = problems(tmp_path, f'[identity.names]\nuser = "{name}"')
    assert said.startswith(f"gateway.toml: identity.names.user: {name} says something else already")


@pytest.mark.parametrize("name", ["X-Forwarded-User", "X-Auth-Request-Email", "X-App-User", ""])
def test_other_products_names_can_be_taken(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, f'[identity.names]\nuser = "{name}"').identity.names["user"] == name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("support", "help@acme.example"),
        ("support", "https://help.example/a"),
        ("logo", "/static/logo.svg"),
        ("logo", "data:image/png;base64,AA=="),
    ],
)
def test_pages_take_help_and_a_logo_from_this_site(tmp_path: Path, key: str, value: str) -> None:
    assert getattr(read(tmp_path, f'[pages]\n{key} = "{value}"').pages, key) == value


@pytest.mark.parametrize(
    ("settings", "access", "keys"),
    [
        ("", 'owners = ["x"]\nrules = [{ path = "/", roles = ["x"] }]', ["owners (1st", "rules (1st"]),
        ("", 'rules = [{ path = "/a", require = "x" }, { path = "/a" }]', ["rules (1st", "rules: /a stands"]),
        (
            '[passwords]\nbreach_list = "/none"\n[mail]\nca_file = "/none"',
            "",
            ["mail.ca_file", "passwords.breach_list"],
        ),
        ('[pages]\naccent = "x"\n[mail]\nusername = "x"', "", ["pages.accent", "mail.username"]),
    ],
)
def test_a_mistake_hides_no_other(tmp_path: Path, settings: str, access: str, keys: list[str]) -> None:
    found = sorted(problem.partition(": ")[2] for problem in problems(tmp_path, settings, access))
    assert len(found) == len(keys)
    assert all(said.startswith(key) for said, key in zip(found, sorted(keys), strict=True)), found


def test_nothing_is_said_about_a_default_that_stands_in_for_a_mistake(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, '[listen]\naddresses = ["x"]\n[upstream]\naddress = "127.0.0.1:8000"')
    assert "listen.addresses (1st entry)" in said


RP_IDS = ["App.Example.co.uk", "example.co.uk", "co.uk", ""]  # which domains are public suffixes is not known here


@pytest.mark.parametrize("rp_id", RP_IDS)
def test_passkeys_belong_to_the_public_host_or_a_domain_above_it(tmp_path: Path, rp_id: str) -> None:
    settings = read(tmp_path, f'public_url = "https://app.example.co.uk"\n[factors]\nrp_id = "{rp_id}"')
    assert settings.rp_id == rp_id.lower() or "app.example.co.uk"


@pytest.mark.parametrize("rp_id", ["uk", "pp.example.co.uk", "x.app.example.co.uk", "example.com", "localhost"])
def test_other_domains_have_no_passkeys(tmp_path: Path, rp_id: str) -> None:
    assert problems(tmp_path, f'public_url = "https://app.example.co.uk"\n[factors]\nrp_id = "{rp_id}"') == [
        f"gateway.toml: factors.rp_id: browsers have no passkeys for {rp_id} at app.example.co.uk; "
        "take app.example.co.uk, or a domain above it that is yours"
    ]


def test_an_ip_address_has_no_passkeys(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, 'public_url = "https://192.0.2.7"\n[factors]\nrp_id = "example.com"')
    assert said.endswith("browsers have no passkeys for example.com at 192.0.2.7; public_url must be a name for that")


def test_a_wrong_public_url_says_nothing_of_the_rp_id(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, 'public_url = "app.example.com"\n[factors]\nrp_id = "example.com"')
    assert said.startswith("gateway.toml: public_url")


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "[listen]\nworkers = 0\nx = 1\n", 'owners = ["x"]', GATEWAY_SECRET="short")) == 4


def test_a_command_needs_no_secret_of_a_server_that_it_does_not_talk_to(tmp_path: Path) -> None:
    (tmp_path / "access.toml").write_text("")
    (tmp_path / "gateway.toml").write_text(
        '[mail]\nhost = "mail.example.com"\nusername = "gateway"\n'
        '[identity.headers]\n"X-App" = "{credential:app-token}"\n'
    )
    settings = load_for_command(tmp_path, {"GATEWAY_SECRET": SECRET})
    assert (settings.mail.username, settings.mail_password) == ("gateway", None)
    with pytest.raises(BadSettings) as wrong:
        load(tmp_path, {"GATEWAY_SECRET": SECRET})
    assert len(wrong.value.problems) == 2
    with pytest.raises(BadSettings, match="GATEWAY_SECRET"):
        load_for_command(tmp_path, {})


def test_without_an_access_file_nothing_starts(tmp_path: Path) -> None:
    """A list of owners that went missing must not turn owners into members."""
    with pytest.raises(BadSettings, match=r"access\.toml: it is missing"):
        load(tmp_path, {"GATEWAY_SECRET": SECRET})


@pytest.mark.parametrize(
    "secret", ["", "short", "a" * 64, base64.b64encode(b"x" * MIN_SECRET_BYTES).decode(), "not base64!" * 8]
)
def test_a_weak_secret_is_refused_and_never_repeated(tmp_path: Path, secret: str) -> None:
    found = problems(tmp_path, GATEWAY_SECRET=secret)
    assert "keys create" in found[0]
    assert not secret or secret not in " ".join(found)


def test_credentials_of_systemd_come_first_and_the_newest_leads(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    newer = base64.b64encode(hashlib.sha384(b"newer").digest()).decode()
    (folder / "gateway-secret").write_text(f"{newer}\n{SECRET}\n")
    settings = read(tmp_path, GATEWAY_SECRET="", CREDENTIALS_DIRECTORY=str(folder))
    assert [secret.reveal() for secret in settings.secrets] == [
        hashlib.sha384(b"newer").digest(),
        hashlib.sha384(b"test").digest(),
    ]
    assert newer not in repr(settings)
    assert hashlib.sha384(b"newer").digest() not in repr(settings).encode()


def test_the_mail_servers_password_comes_from_a_credential_or_else_the_environment(tmp_path: Path) -> None:
    assert read(tmp_path).mail_password is None
    settings = read(tmp_path, '[mail]\nusername = "gateway"', GATEWAY_MAIL_PASSWORD="from the environment")
    assert settings.mail_password == Secret("from the environment")
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "gateway-mail-password").write_text("pässword with spaces \n")
    settings = read(tmp_path, GATEWAY_MAIL_PASSWORD="not this", CREDENTIALS_DIRECTORY=str(folder))
    assert settings.mail_password == Secret("pässword with spaces ")
    assert "spaces" not in repr(settings)


@pytest.mark.parametrize(
    "address",
    ["", "https://api.pwnedpasswords.com/range", "http://127.0.0.1:8080/range", "http://localhost", "http://[::1]:80/"],
)
def test_a_range_api_is_asked_over_https_or_on_this_machine(tmp_path: Path, address: str) -> None:
    assert read(tmp_path, f'[passwords]\nbreach_api = "{address}"').passwords.breach_api == address


def test_a_list_of_breached_passwords_is_a_file_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:10\n")
    (tmp_path / "ranges").mkdir()
    (tmp_path / "ranges" / "5BAA6.txt").write_text("1E4C9B93F3F0682250B6CF8331B7EE68FD8:10\n")
    for name in ("list", "ranges"):
        settings = read(tmp_path, GATEWAY_PASSWORDS__BREACH_LIST=str(tmp_path / name))
        assert settings.passwords.breach_list == str(tmp_path / name)


@pytest.mark.parametrize("content", [b"two\nlines", b"\xff\xfe"])
def test_a_mail_password_that_is_not_one_line_of_text_is_refused_and_never_repeated(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "gateway-mail-password").write_bytes(content)
    (found,) = problems(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert found == "gateway-mail-password: GATEWAY_MAIL_PASSWORD: a password is one line of text in UTF-8"


def test_the_owners_networks_are_read_as_lists_are(tmp_path: Path) -> None:
    given = 'owner_networks = ["::ffff:203.0.113.0/120  Office", "198.51.100.7 Hotel until 2026-12-31"]'
    policy = read(tmp_path, access=given).factor_policy
    assert policy.owner_networks == "203.0.113.0/24 Office\n198.51.100.7 Hotel until 2026-12-31"
    assert read(tmp_path).factor_policy.owner_networks == ""
