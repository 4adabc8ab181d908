"""What stops a start is said before, by the settings' key and with what to do; what may be meant is only advice."""

from __future__ import annotations

import base64
import json
import os
import signal
from pathlib import Path

import pytest

from gateway.app.nouns import ROUTES
from gateway.process.preflight import RELEASED_AT, advice_on, check_newest, problems_of
from gateway.process.worker import load_checked
from gateway.settings import BadSettings, Settings
from gateway.settings.proofs import SSOSettings
from gateway.settings.record import Access, Admin, AuditSettings, Limits, Listen, Mail, Pages, StoreSettings
from tests.settings.test_load import SECRET, problems
from tests.support.gateway import Gateway
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

NOW = RELEASED_AT + 1_000_000
HTTPS = "https://app.example.com"
OWNED = Access(owners=frozenset({"otto@otium.example"}))


def found(settings: Settings, now: int = NOW) -> list[str]:
    return [f"{key}: {reason}" for key, reason in problems_of(settings, ROUTES, now)]


def store_in(folder: Path) -> StoreSettings:
    return StoreSettings(url=f"sqlite:///{folder / 'gateway.db'}")


def test_what_is_good_is_good(tmp_path: Path) -> None:
    assert found(Settings(store=store_in(tmp_path / "made" / "later"), admin=Admin(listen="127.0.0.1:9464"))) == []


def test_a_file_for_checkpoints_that_can_not_be_written_is_said_and_keeps_nobody_out(tmp_path: Path) -> None:
    def advised(file: str) -> list[tuple[str, str]]:
        settings = Settings(store=store_in(tmp_path), audit=AuditSettings(checkpoint_file=file))
        assert found(settings) == []
        return [said for said in advice_on(settings, {}) if said[0] == "audit.checkpoint_file"]

    file = tmp_path / "checkpoints"
    assert advised(str(file)) == []
    file.touch()
    assert advised(str(file)) == []
    assert "no file can be made in /none" in advised("/none/c")[0][1]
    assert "this user can't write to /etc" in advised("/etc")[0][1]


def test_a_mistake_in_a_file_does_not_hide_what_this_machine_lacks(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text('[pages]\naccent = "blue"\npaths = { logn = "/x" }\n')
    (tmp_path / "access.toml").touch()
    with pytest.raises(BadSettings) as caught:
        load_checked(tmp_path, {"GATEWAY_SECRET": SECRET, "GATEWAY_STORE__URL": f"sqlite:///{tmp_path}/gateway.db"})
    assert [problem.key for problem in caught.value.problems] == ["pages.accent", "pages.paths.logn"]


def test_check_config_says_that_the_defaults_hold_without_a_file(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1")
    said = f"{gateway.config} has no gateway.toml; using defaults"
    (gateway.config / "gateway.toml").touch()
    assert said not in gateway.cli("check-config").stdout
    (gateway.config / "gateway.toml").unlink()
    assert said in gateway.cli("check-config").stdout


def test_a_clock_that_can_only_be_wrong_stops_the_start(tmp_path: Path) -> None:
    assert "the clock of this machine is years behind" in found(Settings(store=store_in(tmp_path)), 0)[0]


PROBLEMS = [
    (Settings(pages=Pages(paths={"loginn": "/x"})), "pages.paths.loginn: there is no such page; there are acc"),
    (Settings(pages=Pages(paths={"reset": "/x"})), "pages.paths.reset: the address of this page must end in /{token}"),
    (Settings(pages=Pages(paths={"invite": "/x/{key}"})), "pages.paths.invite: the address of this page must end in"),
    (Settings(pages=Pages(paths={"login": "/x/{key}"})), "pages.paths.login: the address of this page must have no"),
    (Settings(pages=Pages(paths={"logout": ""})), "pages.paths.logout: nobody can sign in without this page"),
    (
        Settings(listen=Listen(addresses=("203.0.113.9:8000",))),
        "listen.addresses (1st entry): this machine can't listen there",
    ),
    (
        Settings(listen=Listen(addresses=("no.invalid:8000",))),
        "listen.addresses (1st entry): this machine can't listen there",
    ),
    (
        Settings(listen=Listen(addresses=("unix:/none/x.sock",))),
        "listen.addresses (1st entry): can't create a socket in /none",
    ),
    (Settings(admin=Admin(listen="unix:/none/x.sock")), "admin.listen: can't create a socket in /none"),
    (Settings(mail=Mail(ca_file="/etc/hostname")), "mail.ca_file: it holds no certificates"),
    (Settings(store=StoreSettings(url="sqlite:////proc/self/status/x.db")), "store.url: this user can't write in"),
]


def on_postgresql(options: str, host: str = "db") -> Settings:
    return Settings(store=StoreSettings(url=f"postgresql://u@{host}/d?{options}"))


FULL = "sslmode=verify-full"
PROBLEMS += [
    (on_postgresql(FULL), "store.url: sslmode=verify-full needs the certificate authority of the server: sslrootcert"),
    (
        on_postgresql(f"{FULL}&sslrootcert=/none"),
        "store.url: sslrootcert=/none holds nothing that can be read (PEM): No",
    ),
    (on_postgresql("sslrootcert=/etc/hostname"), "store.url: sslrootcert=/etc/hostname holds nothing that can be read"),
    (on_postgresql("sslcert=/none"), "store.url: sslcert and sslkey go together"),
    (on_postgresql("sslcert=/x&sslkey=/y"), "store.url: sslcert=/x and sslkey=/y can't be used together (PEM): No"),
    (on_postgresql("passfile=/none"), "store.url: passfile=/none can't be read"),
    (on_postgresql("passfile=/etc/hostname"), "store.url: passfile=/etc/hostname is ignored, because others can read"),
]


@pytest.mark.parametrize(("settings", "said"), PROBLEMS)
def test_what_stops_a_start_is_said_with_what_to_do(tmp_path: Path, settings: Settings, said: str) -> None:
    if settings.store == StoreSettings():
        settings = settings.model_copy(update={"store": store_in(tmp_path)})
    assert [problem for problem in found(settings) if problem.startswith(said)] == found(settings)
    assert len(found(settings)) == 1


ADVICE = [
    (Settings(public_url=HTTPS), "listen.trusted_proxies"),
    (Settings(public_url=HTTPS, listen=Listen(trusted_proxies=("127.0.0.1",))), None),
    (
        Settings(public_url=HTTPS, listen=Listen(addresses=("unix:/x",), trusted_proxies=("10.0.0.1",))),
        "listen.trusted_proxies",
    ),
    (Settings(public_url=HTTPS, listen=Listen(addresses=("unix:/x",), trusted_proxies=("unix",))), None),
    (Settings(public_url=HTTPS, listen=Listen(trusted_proxies=("128.0.0.0/1",))), "listen.trusted_proxies"),
    (Settings(listen=Listen(addresses=("0.0.0.0:8000",))), "listen.addresses"),
    (Settings(listen=Listen(addresses=("127.0.0.1:8000",))), None),
    (Settings(listen=Listen(addresses=("127.0.0.1:8001",))), "public_url"),
    (Settings(listen=Listen(addresses=("127.0.0.1:8001",), trusted_proxies=("127.0.0.1",))), None),
    (Settings(limits=Limits(hashing_iterations=599_999)), "limits.hashing_iterations"),
    (Settings(limits=Limits(hashing_iterations=600_000)), None),
    (Settings(pages=Pages(accent="#b3246a")), None),
    (Settings(pages=Pages(accent="#ffd400")), "pages.accent"),
    (Settings(sso=SSOSettings(on=True)), None),
    (Settings(sso=SSOSettings(on=True, private_networks=True)), "sso.private_networks"),
    (Settings(sso=SSOSettings(private_networks=True)), None),
    (Settings(store=StoreSettings(sessions="strict")), "store.sessions"),
    (on_postgresql("sslmode=require"), "store.url"),
    (on_postgresql("", "[2001:db8::1]:5432,localhost"), "store.url"),
    (on_postgresql(FULL), None),
    (on_postgresql("", "localhost,127.0.0.1"), None),
    (on_postgresql("host=/run/postgresql", ""), None),
    (on_postgresql("sslkey=/etc/hostname", "localhost"), "store.url"),
]


@pytest.mark.parametrize(("settings", "key"), ADVICE)
def test_what_does_not_fit_together_is_advised_about(settings: Settings, key: str | None) -> None:
    settings = settings.model_copy(update={"access": OWNED})
    assert [said for said, _ in advice_on(settings, {})] == ([key] if key else [])


def test_that_there_are_no_owners_is_advised_about() -> None:
    ((key, reason),) = advice_on(Settings(), {})
    assert key == "owners"
    assert "OPS_ACCESS_EMAILS" in reason


def test_a_secret_that_everybody_can_read_is_advised_about(tmp_path: Path) -> None:
    file = tmp_path / "gateway-secret"
    file.write_text("x")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    for mode, count in ((0o400, 0), (0o440, 0), (0o444, 1)):
        file.chmod(mode)
        assert len(list(advice_on(Settings(access=OWNED), environ))) == count


def test_check_config_and_serve_give_the_same_advice(upstream: RecordingUpstream, tmp_path: Path) -> None:
    changes = {"STORE__SESSIONS": "strict", "MAIL__HOST": ""}
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes=changes).seed()
    advised = {line.split(": ")[1] for line in gateway.cli("check-config").stdout.splitlines() if "advice: " in line}
    assert advised == {"limits.hashing_iterations", "listen.trusted_proxies", "mail.host", "store.sessions"}
    gateway.start()
    assert gateway.stop() == 0
    logged = [json.loads(line) for line in gateway.logged().splitlines() if '"event": "advice"' in line]
    assert {line["key"] for line in logged} == advised


def test_a_clock_behind_the_store_is_advised_about() -> None:
    assert list(check_newest(None, NOW)) == list(check_newest(NOW + 60, NOW)) == []
    assert "is it behind?" in next(check_newest(NOW + 3_600, NOW))[1]


@pytest.mark.parametrize(
    "typed",
    [b"correct horse battery staple, and so on and on", os.urandom(16) * 3, bytes(range(11)) * 5, b"short"],
    ids=["text", "repeated", "few bytes", "short"],
)
def test_a_secret_that_somebody_made_up_is_refused(tmp_path: Path, typed: bytes) -> None:
    secret = base64.b64encode(typed).decode()
    (said,) = problems(tmp_path, GATEWAY_SECRET=secret)
    assert "a secret is at least 32 random bytes" in said
    assert secret not in said


def test_everybody_is_no_proxy(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, '[listen]\ntrusted_proxies = ["0.0.0.0/0"]')
    assert "0.0.0.0/0 includes everyone" in said


def test_a_credential_that_cannot_be_read_is_said_by_its_file(tmp_path: Path) -> None:
    """A folder in its place: nothing is forbidden to root, who may run the tests."""
    (tmp_path / "gateway-secret").mkdir()
    (said,) = problems(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert said == "gateway-secret: it can't be read: Is a directory; let this user read it"


def test_check_config_says_what_serve_would_and_changes_nothing(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1")
    result = gateway.cli("check-config")
    assert (result.returncode, result.stderr) == (0, "")
    assert "no database yet; `serve` will create it" in result.stdout
    assert not (tmp_path / "store").exists()
    gateway.seed()
    assert "the database is up to date" in gateway.cli("check-config").stdout


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "GATEWAY_LISTEN__ADDRESSES",
            '["203.0.113.9:80"]',
            "GATEWAY_LISTEN__ADDRESSES (1st entry): this machine can't listen there",
        ),
        ("GATEWAY_PAGES__PATHS", '{ static = "" }', "GATEWAY_PAGES__PATHS.static: nobody can sign in"),
    ],
)
def test_serve_refuses_what_check_config_refuses(tmp_path: Path, variable: str, value: str, said: str) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1").seed()
    gateway.environ[variable] = value
    for command in ("check-config", "serve"):
        result = gateway.cli(command)
        assert result.returncode == 1
        assert said in result.stderr
        assert "Traceback" not in result.stderr


def test_a_reload_refuses_it_with_file_key_and_reason(upstream: RecordingUpstream, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed().start()
    try:
        with (gateway.config / "gateway.toml").open("a") as file:
            file.write('[pages]\npaths = { logout = "" }\n')
        assert gateway.process is not None
        before = gateway.workers()
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("reload_refused")
        assert "gateway.toml: pages.paths.logout: nobody can sign in" in gateway.logged()
        assert gateway.workers() == before
        assert gateway.exchange(get("/public")).status == 200
    finally:
        gateway.stop()
