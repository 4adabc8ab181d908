"""API tokens: what programs can do with them, and what nobody can (THREATS 64 and 65)."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.proxy.test_tunnel import accept, open_socket
from tests.support.gateway import ACCESS, COOKIE, HOST, ORIGIN, PASSWORD, PROXY, Gateway, form
from tests.support.mail import Mailbox
from tests.support.person import Person
from tests.support.raw import Response, get
from tests.support.upstream import RecordingUpstream
from tests.threats import test_forward_auth as forward_auth
from tests.threats.test_passkey_floods import nobody_writing

RULES = ACCESS.replace(
    "rules = [", 'rules = [\n  { path = "/pay", fresh = 600 },\n  { path = "/vault", require = "totp" },'
)
REPLACES = "?replaces=authorization"
ERIN, ADAM = "erin@acme.example", "adam@acme.example"


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("tokens")
    running = (
        Gateway(
            folder, f"127.0.0.1:{recorder.port}", access=RULES, changes={"TOKENS__ON": "true"}, mail_port=mailbox.port
        )
        .seed()
        .start()
    )
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


@pytest.fixture(autouse=True)
def quiet(recorder: RecordingUpstream) -> None:
    recorder.reset()


def new_token(own: Gateway, email: str = ERIN, **fields: str) -> str:
    """Create one on the page, as that person."""
    person = Person(own, email)
    person.give_password("/me/tokens")
    page = person.send("/me/tokens", {"name": "A program", "access": "all", "days": "90", **fields}).body.decode()
    found = re.search(r"otw_pat_[0-9A-Za-z]{38}", page)
    assert found, re.sub(r"<[^>]+>", "", page)
    return found[0]


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def basic(user: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def ask(own: Gateway, *lines: str, path: str = "/probe", method: str = "GET", source: str = "127.0.0.1") -> Response:
    return own.exchange(get(path, *lines, method=method), source=source)


@pytest.mark.parametrize("how", ["bearer", "basic", "basic without a name"])
def test_the_application_gets_the_identity_and_never_the_token(
    own: Gateway, recorder: RecordingUpstream, how: str
) -> None:
    token = new_token(own)
    line = {"bearer": bearer(token), "basic": basic(ERIN.upper(), token), "basic without a name": basic("", token)}[how]
    assert ask(own, line).status == 200
    (request,) = recorder.requests
    assert request.all("remote-email") == [ERIN]
    assert request.all("x-otium-factors") == ["token"]
    assert request.all("x-otium-session")[0].startswith("tok_")
    assert request.all("authorization") == []
    assert token.encode() not in request.head


def test_other_values_of_authorization_pass_as_ever(own: Gateway, recorder: RecordingUpstream) -> None:
    cookie = own.sign_in()
    for line in ("Authorization: Bearer eyJ.x.y", "Authorization: Basic YTpi", "Authorization: Negotiate YII="):
        recorder.reset()
        assert ask(own, cookie, line).status == 200
        assert recorder.requests[0].all("authorization") == [line.partition(": ")[2]]


@pytest.mark.parametrize(
    "line",
    [
        lambda token: basic(token, ""),
        lambda token: basic(token, "x-oauth-basic"),
        lambda token: basic("mara@acme.example", token),
        lambda token: bearer(token[:-1] + ("a" if token[-1] != "a" else "b")),
        lambda token: bearer(token + "a"),
        lambda token: bearer("otw_pat_" + "0" * 38),
        lambda token: f"Authorization: Token {token}",
        lambda token: bearer(token.replace("pat", "svc")),
    ],
)
def test_noise_and_wrong_names_are_refused_without_a_redirect(own: Gateway, line: object) -> None:
    assert callable(line)
    refused = ask(own, line(new_token(own)), "Accept: text/html")
    assert (refused.status, refused.get("location")) == (401, None)
    assert json.loads(refused.body)["error"] == "token_refused"
    schemes = [challenge.partition(" ")[0] for challenge in refused.all("www-authenticate")]
    assert schemes == ["Basic", "Bearer"]


def test_in_a_query_a_cookie_or_another_field_it_is_nothing(own: Gateway, recorder: RecordingUpstream) -> None:
    token = new_token(own)
    for path, line in (
        (f"/probe?access_token={token}", "Accept: */*"),
        ("/probe", f"Cookie: {COOKIE}={token}"),
        ("/probe", f"X-Api-Key: {token}"),
        ("/probe", f"Proxy-Authorization: Bearer {token}"),
    ):
        assert ask(own, line, path=path).status == 401, line
    assert recorder.requests == []


def test_a_token_beside_anything_else_is_a_bad_request(own: Gateway) -> None:
    token = new_token(own)
    for lines in (
        (bearer(token), own.sign_in()),
        (bearer(token), bearer(token)),
        (bearer(token), "Authorization: Basic YTpi"),
        (bearer(token), "Connection: authorization"),
    ):
        assert ask(own, *lines).status == 400, lines


@pytest.mark.parametrize(
    "path",
    ["/me/security", "/me/tokens", "/me/sessions", "/admin/accounts", "/ops", "/login", "/logout", "/login/totp",
     "/login/form/x", "/forgot-password", "/_gateway/static/gateway.css"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_it_opens_no_page_of_the_gateway(own: Gateway, path: str, method: str) -> None:
    token = new_token(own, ADAM)
    answer = ask(own, bearer(token), f"Origin: {ORIGIN}", "Accept: text/html", path=path, method=method)
    assert answer.status in (403, 405), (path, answer.status)


def test_a_form_with_a_dead_token_is_not_kept(own: Gateway) -> None:
    token = new_token(own)
    own.write("UPDATE api_tokens SET revoked_at = 1")
    sent = own.exchange(form("/timesheets", {"a": "b"}, bearer(token), "Sec-Fetch-Mode: navigate", "Accept: text/html"))
    assert (sent.status, sent.get("location")) == (401, None)


def test_what_asks_for_a_person_is_refused(own: Gateway, recorder: RecordingUpstream) -> None:
    token = new_token(own)
    for path in ("/pay", "/vault"):
        refused = ask(own, bearer(token), path=path)
        assert (refused.status, json.loads(refused.body)["error"]) == (403, "token_limited")
    assert recorder.requests == []


def test_it_is_limited_to_methods_paths_and_networks(own: Gateway) -> None:
    read = new_token(own, access="read")
    assert [ask(own, bearer(read), method=method).status for method in ("GET", "PROPFIND", "POST", "DELETE")] == [
        200, 200, 403, 403,
    ]  # fmt: skip
    below = new_token(own, paths="/calendar\n/contacts/")
    paths = ("/calendar", "/calendar/a", "/contacts/x", "/calendars", "/probe", "/calendar/..%2fprobe")
    assert [ask(own, bearer(below), path=path).status for path in paths] == [200, 200, 200, 403, 403, 400]
    moved = ask(own, bearer(below), f"Destination: {ORIGIN}/probe", path="/calendar/a", method="MOVE")
    assert moved.status == 403
    here = new_token(own, networks="127.0.9.0/24")
    assert ask(own, bearer(here), source="127.0.9.4").status == 200
    assert ask(own, bearer(here), source="127.0.8.4").status == 403


def test_it_has_the_role_that_was_chosen_and_never_more_than_its_owner(
    own: Gateway, recorder: RecordingUpstream
) -> None:
    full, small = new_token(own, ADAM), new_token(own, ADAM, role="employee")
    assert [ask(own, bearer(token), path="/team").status for token in (full, small)] == [200, 403]
    own.write("UPDATE accounts SET role = 'employee' WHERE identifier = :email", email=ADAM)
    try:
        assert ask(own, bearer(full), path="/team").status == 403
        assert ask(own, bearer(full)).status == 200
        assert recorder.requests[-1].all("x-otium-role") == ["employee"]
    finally:
        own.write("UPDATE accounts SET role = 'admin' WHERE identifier = :email", email=ADAM)


def test_a_role_above_ones_own_is_refused(own: Gateway) -> None:
    person = Person(own, ERIN)
    person.give_password("/me/tokens")
    refused = person.send("/me/tokens", {"name": "x", "days": "90", "role": "admin"})
    assert refused.status == 422
    assert "otw_pat_" not in refused.body.decode()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE api_tokens SET revoked_at = 1",
        "UPDATE api_tokens SET expires_at = 1",
        "DELETE FROM api_tokens",
        "UPDATE accounts SET status = 'disabled' WHERE identifier = 'erin@acme.example'",
        "UPDATE tenants SET status = 'suspended' WHERE slug = 'acme'",
    ],
)
def test_it_is_dead_on_the_next_request_of_every_worker(own: Gateway, change: str) -> None:
    token = new_token(own)
    assert {ask(own, bearer(token)).status for _ in range(12)} == {200}
    own.write(change)
    try:
        assert {ask(own, bearer(token)).status for _ in range(12)} == {401}
    finally:
        own.write("UPDATE accounts SET status = 'active' WHERE identifier = 'erin@acme.example'")
        own.write("UPDATE tenants SET status = 'active'")


def test_it_expires(own: Gateway) -> None:
    token = new_token(own, days="1")
    own.write("UPDATE api_tokens SET expires_at = expires_at - 86400 + 2")
    assert ask(own, bearer(token)).status in (200, 401)
    own.write("UPDATE api_tokens SET expires_at = expires_at - 5")
    assert ask(own, bearer(token)).status == 401


def test_owners_have_none(own: Gateway, mailbox: Mailbox) -> None:
    token = new_token(own)
    own.write("UPDATE accounts SET identifier = 'was@otium.example' WHERE identifier = 'otto@otium.example'")
    own.write("UPDATE accounts SET identifier = 'otto@otium.example' WHERE identifier = :email", email=ERIN)
    try:
        assert ask(own, bearer(token)).status == 401
    finally:
        own.write("UPDATE accounts SET identifier = :email WHERE identifier = 'otto@otium.example'", email=ERIN)
        own.write("UPDATE accounts SET identifier = 'otto@otium.example' WHERE identifier = 'was@otium.example'")


def test_whoever_finds_one_may_revoke_it_and_learns_nothing(own: Gateway, mailbox: Mailbox) -> None:
    token, unknown = new_token(own), "otw_pat_" + "0" * 32 + "2HiVXZ"
    answers = {own.exchange(form("/_gateway/tokens/revoke", {"token": text})).status for text in (unknown, "x", token)}
    assert answers == {204}
    assert ask(own, bearer(token)).status == 401
    mailbox.wait_for(ERIN, "API token was revoked", said="A program")


def test_creating_one_takes_a_fresh_proof_and_is_mailed(own: Gateway, mailbox: Mailbox) -> None:
    mailbox.mails.clear()
    new_token(own, name="My calendar")
    mailbox.wait_for(ERIN, "new API token", said="My calendar")
    person = Person(own, ERIN)
    person.give_password()
    own.write("UPDATE sessions SET proofs = '[[\"password\",1000]]'")
    asked = person.send("/me/tokens", {"name": "My <phone>", "days": "30", "access": "all", "paths": "/a\n/b"})
    login = asked.get("location") or ""
    (way,) = parse_qs(login.partition("/login?")[2])["next"]
    person.open(login)
    person.submit("/login", email=ERIN, password=PASSWORD)
    page = person.open(way).body.decode()
    for kept in (
        'value="My &lt;phone&gt;"',
        '"30" selected',
        '"all" selected',
        ">/a\n/b</textarea>",
        "press “Create token”",
    ):
        assert kept in page, kept
    filled = person.open("/me/tokens?name=Phone&days=30&access=all&networks=0.0.0.0/0&done=proved").body.decode()
    for given in ('"Phone"', '"30" selected', '"all" selected', "0.0.0.0"):
        assert given not in filled, given


def test_its_use_is_shown_and_a_new_network_is_mailed(own: Gateway, mailbox: Mailbox) -> None:
    mailbox.mails.clear()
    token = new_token(own, name="Sync")
    ask(own, bearer(token), "User-Agent: rclone/1.70", source="127.0.77.1")
    mailbox.wait_for(ERIN, "used from a new network", said="Sync")
    person = Person(own, ERIN)
    person.give_password()
    page = html.unescape(person.open("/me/tokens").body.decode())
    assert "127.0.77.1, rclone/1.70" in page
    assert own.write("SELECT id FROM audit WHERE event = 'token_used_elsewhere'")


def test_a_refusal_is_audited_once_with_its_reason(own: Gateway) -> None:
    token = new_token(own, paths="/reader", name="Reader")
    for _ in range(5):
        ask(own, bearer(token), source="127.0.66.1")
    rows = own.wait_for_rows("SELECT personal FROM audit WHERE event = 'token_refused' AND personal LIKE '%Reader%'")
    assert len(rows) in (1, 2)  # a minute may end meanwhile
    assert "allows paths below /reader only" in rows[0][0]


def test_administrators_see_and_revoke_those_of_their_people_only(own: Gateway, mailbox: Mailbox) -> None:
    mine, theirs = new_token(own, name="Erin's"), new_token(own, "olga@beta.example", name="Olga's")
    adam = Person(own, ADAM)
    adam.give_password()
    page = html.unescape(adam.open("/admin/tokens").body.decode())
    assert "Erin's" in page
    assert "Olga's" not in page
    for row in own.write("SELECT id FROM api_tokens WHERE revoked_at IS NULL"):
        adam.send("/admin/tokens", {"token": row[0]})
    assert ask(own, bearer(mine)).status == 401
    assert ask(own, bearer(theirs)).status == 200


def test_one_person_cant_revoke_anothers(own: Gateway) -> None:
    token = new_token(own)
    ((row,),) = own.write("SELECT id FROM api_tokens ORDER BY created_at DESC, id LIMIT 1")
    other = Person(own, "mara@acme.example")
    other.give_password()
    for account_row in own.write("SELECT id FROM api_tokens"):
        other.send("/me/tokens/revoke", {"token": account_row[0]})
    assert row
    assert ask(own, bearer(token)).status == 200


def test_preflights_stay_as_they_were_and_options_with_a_token_passes(own: Gateway) -> None:
    assert ask(own, method="OPTIONS").status == 401
    assert ask(own, bearer(new_token(own)), method="OPTIONS").status == 200


def test_programs_are_told_how_to_sign_in_and_browsers_dont_ask_for_a_password(own: Gateway) -> None:
    program, browser = ask(own), ask(own, "Sec-Fetch-Mode: cors", "User-Agent: Mozilla/5.0")
    assert any(challenge.startswith("Basic ") for challenge in program.all("www-authenticate"))
    assert not any(challenge.startswith("Basic ") for challenge in browser.all("www-authenticate"))


def question(own: Gateway, *lines: str, path: str = "/probe", method: str = "GET", says: str = REPLACES) -> Response:
    """Ask as nginx does about a request."""
    asked = (f"X-Original-Method: {method}", f"X-Original-URI: {path}", "X-Forwarded-For: 198.51.100.7")
    return own.exchange(get(f"/_gateway/auth{says}", *asked, *lines), source=PROXY)


def test_a_proxy_that_asks_is_told_to_take_the_token_away(own: Gateway) -> None:
    token = new_token(own)
    for line in (bearer(token), basic(ERIN, token)):
        admitted = question(own, line)
        assert (admitted.status, admitted.all("remote-email")) == (204, [ERIN])
        assert admitted.all("authorization") == [""]
    public = question(own, bearer(token[:-1] + "~"), path="/public")
    assert (public.status, public.all("authorization")) == (204, [""])


def test_a_proxy_that_would_forward_the_token_is_refused(own: Gateway) -> None:
    token = new_token(own)
    for says in ("", "?", "?replaces=cookie", "?replaces=authorization&x"):
        for path in ("/probe", "/public"):
            assert question(own, bearer(token), path=path, says=says).status == 401
    assert question(own, own.sign_in(), says="").status == 204


def test_a_proxy_that_asks_gets_another_authorization_back(own: Gateway) -> None:
    cookie = own.sign_in()
    for value in ("Bearer eyJ.x.y", "Basic YTpi"):
        assert question(own, cookie, f"authorization: {value}").all("authorization") == [value]
    assert question(own, cookie).all("authorization") == [""]
    assert question(own, cookie, "Authorization: Basic YTpi", "Authorization: Basic YTpj").status == 403


def test_behind_a_proxy_its_limits_are_about_the_request_and_not_the_question(own: Gateway) -> None:
    token = new_token(own, paths="/calendar", access="read", name="Behind")
    assert question(own, bearer(token), path="/calendar", method="GET").status == 204
    assert [question(own, bearer(token), path=path, method=method).status for path, method in (
        ("/calendar/a", "GET"), ("/probe", "GET"), ("/calendar/a", "DELETE"),
    )] == [204, 403, 403]  # fmt: skip
    asked = ("X-Forwarded-Method: GET", "X-Forwarded-Uri: /probe", "X-Forwarded-For: 198.51.100.7")
    caddy = own.exchange(get(f"/_gateway/auth{REPLACES}", *asked, bearer(token)), source=PROXY)
    assert json.loads(caddy.body)["error"] == "token_limited"
    query = "SELECT DISTINCT personal FROM audit WHERE event = 'token_refused' AND address = '198.51.100.7'"
    rows = own.wait_for_rows(query, 2)
    assert sorted(json.loads(row[0])["rule"] for row in rows) == [
        "the token allows GET, HEAD, OPTIONS, PROPFIND, REPORT, SEARCH only",
        "the token allows paths below /calendar only",
    ]


def in_manner_of(own: Gateway, proxy: str, *lines: str, path: str, method: str = "GET") -> Response:
    """Ask as that proxy does, which says that it replaces Authorization."""
    host, described = forward_auth.question(proxy, method, path)
    return own.exchange(get(f"/_gateway/auth{REPLACES}", *described, *lines, host=host), source=PROXY)


@pytest.mark.parametrize("proxy", forward_auth.PROXIES)
def test_every_proxys_question_admits_a_token_within_its_limits_only(own: Gateway, proxy: str) -> None:
    token = new_token(own, paths="/calendar")
    for line in (bearer(token), basic(ERIN, token)):
        admitted = in_manner_of(own, proxy, line, path="/calendar/a?b=c")
        assert (admitted.status, admitted.all("remote-email"), admitted.all("authorization")) == (204, [ERIN], [""])
        assert admitted.all("x-otium-factors") == ["token"]
    asked = [
        ("GET", "/probe", ()),
        ("GET", "/me/tokens", ()),
        ("MOVE", "/calendar/a", (f"Destination: {ORIGIN}/probe",)),
        ("COPY", "/calendar/a", ()),
        ("SEARCH", "/calendar", ()),
        ("BIND", "/calendar", ()),
    ]
    for method, path, lines in asked:
        refused = in_manner_of(own, proxy, bearer(token), *lines, path=path, method=method)
        assert refused.status == 403, (method, path)
    own.write("UPDATE api_tokens SET revoked_at = 1")
    dead = in_manner_of(own, proxy, bearer(token), path="/calendar")
    assert (dead.status, dead.get("location")) == (401, None)
    public = in_manner_of(own, proxy, bearer(token), path="/public")
    assert (public.status, public.all("remote-email"), public.all("authorization")) == (204, [""], [""])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda token: f'Authorization: Bearer "{token}"',
        lambda token: f"Authorization: Bearer\t{token}",
        lambda token: f"Authorization: Bearer eyJ.x.y, Bearer {token}",
        lambda token: basic("erin", token).rstrip("="),
        lambda token: basic("erin", " " + token),
        lambda token: basic("erin", f"x:{token}").replace("Basic ", "Basic\t"),
    ],
)
def test_however_it_is_wrapped_it_reaches_no_application(
    own: Gateway, recorder: RecordingUpstream, wrap: Callable[[str], str]
) -> None:
    line = wrap(new_token(own))
    assert ask(own, line).status == 401
    assert ask(own, line, own.sign_in()).status == 400
    assert ask(own, line, path="/public").status == 200
    assert [request.all("authorization") for request in recorder.requests] == [[]]


@pytest.mark.parametrize("change", ["api_tokens SET revoked_at = 1", "accounts SET status = 'disabled'"])
def test_its_websockets_are_closed_when_it_ends(own: Gateway, recorder: RecordingUpstream, change: str) -> None:
    token = new_token(own)
    recorder.scripts["/ws"] = accept
    with open_socket(own, bearer(token)) as socket:
        opened = socket.response()
        assert opened is not None
        assert opened.status == 101
        assert socket.read_exactly(5) == b"hello"
        own.write(f"UPDATE {change}")
        assert socket.read_to_end().endswith(b"\x03\xf0")  # 1008
    own.write("UPDATE accounts SET status = 'active'")


def test_a_made_up_token_takes_no_writers_turn(own: Gateway) -> None:
    """The answer comes while somebody else has the only turn. Whoever waits for one in vain is answered with 503."""
    token = "otw_pat_" + "0" * 32 + "2HiVXZ"
    with nobody_writing(own):
        assert own.exchange(form("/_gateway/tokens/revoke", {"token": token})).status == 204


def test_when_they_are_switched_off_those_that_exist_still_reach_no_application(
    own: Gateway, recorder: RecordingUpstream, tmp_path: Path
) -> None:
    token = new_token(own)
    off = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", access=RULES).seed().start()
    recorder.reset()
    assert ask(off, bearer(token)).status == 401
    assert ask(off, bearer(token), path="/public").status == 200
    assert [request.all("authorization") for request in recorder.requests] == [[]]
    assert off.stop() == 0


def test_the_log_holds_no_token(own: Gateway) -> None:
    token = new_token(own)
    ask(own, bearer(token))
    ask(own, basic(ERIN, token))
    logged = own.logged()
    assert token not in logged
    assert PASSWORD not in logged
    assert HOST  # the log has requests at all
    assert "/probe" in logged
