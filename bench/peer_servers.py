"""What `peers.py` measures: each server with its own configuration, and people who are signed in there.

Each function starts servers on the core for servers, signs in `people` times, and yields what is asked. Access logs are
on. What a configuration sets beyond the product's defaults is what its documentation recommends for speed or what the
bench needs (addresses, folders, sessions that last).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import openid
import servers
from many_people import FRONTS, session_of
from many_sessions import fill
from servers import HOST, SERVER_CORE, Server, end, free_port, store_of, wait_for

PORTAL = "auth.example.com"
MODULES = Path("/usr/lib/apache2/modules")
EVERYBODY = {"user": "dwho", "password": "dwho"}  # of LemonLDAP::NG's Demo backend
LASTING = 86_400


@dataclass(slots=True)
class Browser:
    """One person's: keeps cookies, and follows no redirect. `ports` maps hosts to ports of 127.0.0.1."""

    ports: Mapping[str, int]
    cookies: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def ask(self, url: str, form: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        """Return status, Location and body."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[parts.netloc], timeout=60)
        fields = {"Host": parts.netloc, "Accept": "text/html", "Cookie": str(self)}
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        if form is None:
            connection.request("GET", target, headers=fields)
        else:
            fields |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{parts.netloc}"}
            connection.request("POST", target, urlencode(form), fields)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            if value:
                self.cookies[name] = value
        return response.status, response.headers.get("Location", ""), body


@dataclass(frozen=True, slots=True)
class Running:
    """What is asked at `port`, by whom, and everything that works on it."""

    port: int
    processes: tuple[subprocess.Popen[bytes], ...]
    browsers: tuple[Browser, ...]

    def cpu_seconds(self) -> float:
        return sum(servers.cpu_seconds(pid) for process in self.processes for pid in tree(process.pid))


def tree(pid: int) -> Iterator[int]:
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from tree(int(child))


def anybody(port: int, people: int) -> tuple[Browser, ...]:
    """People with sessions of the gateway, which mean nothing to other servers."""
    pairs = (session_of(person).split("=") for person in range(people))
    return tuple(Browser({HOST: port}, {name: value}) for name, value in pairs)


def asked_by_anybody(server: Server, people: int) -> Running:
    return Running(server.port, (server.process,), anybody(server.port, people))


@contextlib.contextmanager
def nginx(folder: Path, to: int, people: int) -> Iterator[Running]:
    with servers.nginx(folder, to, True) as server:
        yield asked_by_anybody(server, people)


@contextlib.contextmanager
def caddy(folder: Path, to: int, people: int, program: str) -> Iterator[Running]:
    with servers.caddy(folder, to, True, program) as server:
        yield asked_by_anybody(server, people)


@contextlib.contextmanager
def haproxy(folder: Path, to: int, people: int) -> Iterator[Running]:
    port, config = free_port(), folder / "haproxy.cfg"
    config.write_text(
        f"global\n log stdout format raw local0\n nbthread 1\n maxconn 4096\n"
        "defaults\n mode http\n log global\n option httplog\n http-reuse always\n"
        " timeout client 60s\n timeout server 60s\n timeout connect 5s\n"
        f"frontend bench\n bind 127.0.0.1:{port}\n default_backend upstream\n"
        f"backend upstream\n server upstream 127.0.0.1:{to}\n"
    )
    process = servers.start(SERVER_CORE, "haproxy", "-db", "-f", str(config), log=folder / "haproxy.log")
    try:
        wait_for(port)
        yield Running(port, (process,), anybody(port, people))
    finally:
        end(process)


@contextlib.contextmanager
def gateway(folder: Path, to: int, people: int, front: str = "") -> Iterator[Running]:
    """The gateway, alone or with a front of `many_people`."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.deployed(folder, to, servers.ROOT, False))
        asyncio.run(fill(store_of(folder), people))
        if not front:
            yield asked_by_anybody(server, people)
            return
        file, _ = FRONTS[front]
        upstreams = {"8000": servers.inside(folder), "5000": f"127.0.0.1:{to}"}
        before = stack.enter_context(servers.nginx_as_shipped(folder, file, upstreams))
        yield Running(before.port, (before.process, server.process), anybody(before.port, people))


@contextlib.contextmanager
def apache(folder: Path, to: int, people: int) -> Iterator[Running]:
    with serving_apache(folder, to, ()) as (port, process):
        yield Running(port, (process,), anybody(port, people))


@contextlib.contextmanager
def apache_openidc(folder: Path, to: int, people: int, session_type: str) -> Iterator[Running]:
    """`session_type` is `server-cache` (in shared memory) or `client-cookie`."""
    with openid.provider() as provider:
        lines = (
            f"OIDCProviderMetadataURL {provider.issuer}/.well-known/openid-configuration",
            f"OIDCClientID {openid.CLIENT}",
            f'OIDCClientSecret "{openid.SECRET}"',
            f"OIDCRedirectURI http://{HOST}/openid",
            f"OIDCCryptoPassphrase {base64.urlsafe_b64encode(os.urandom(24)).decode()}",
            "OIDCCacheType shm",
            f"OIDCCacheShmMax {max(500, 3 * people + 100)}",  # three entries a sign-in; 500 is the default
            f"OIDCSessionType {session_type}",
            f"OIDCSessionInactivityTimeout {LASTING}",
            "OIDCRemoteUserClaim email",
            "OIDCPassClaimsAs headers",
            "<Location />",
            "AuthType openid-connect",
            "Require valid-user",
            "</Location>",
        )
        with serving_apache(folder, to, lines) as (port, process):
            ports = {HOST: port, urlsplit(provider.issuer).netloc: provider.server_port}
            browsers = tuple(Browser(ports) for _ in range(people))
            for browser in browsers:
                sign_in_by_openid(browser)
            yield Running(port, (process,), browsers)


@contextlib.contextmanager
def serving_apache(folder: Path, to: int, lines: tuple[str, ...]) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Apache with mpm_event: one process, with threads enough that it closes no connection for want of them."""
    port, config = free_port(), folder / "apache.conf"
    modules = [
        "mpm_event",
        "authn_core",
        "authz_core",
        "authz_user",
        "proxy",
        "proxy_http",
        *(["auth_openidc"] if lines else []),
    ]
    config.write_text(
        "\n".join(
            (
                f'ServerRoot "{folder}"', f"DefaultRuntimeDir {folder}", "PidFile apache.pid", f"ServerName {HOST}",
                *(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in modules),
                "ServerLimit 1", "StartServers 1", "ThreadLimit 128", "ThreadsPerChild 128", "MaxRequestWorkers 128",
                "MinSpareThreads 1", "MaxSpareThreads 128",
                f"Listen 127.0.0.1:{port}", "User www-data", "Group www-data",
                "ErrorLog apache-error.log", "LogLevel warn",
                r'CustomLog apache-access.log "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""',
                "KeepAlive On", "MaxKeepAliveRequests 0", "KeepAliveTimeout 60",
                "ProxyPreserveHost On", "ProxyPass /openid !", f"ProxyPass / http://127.0.0.1:{to}/",
                *lines, "",
            )
        )
    )  # fmt: skip
    command = ("apache2", "-d", str(folder), "-f", str(config), "-D", "FOREGROUND")
    process = servers.start(SERVER_CORE, *command, log=folder / "apache.log")
    try:
        wait_for(port)
        yield port, process
    finally:
        end(process)


def sign_in_by_openid(browser: Browser) -> None:
    _, to_provider, _ = browser.ask(f"http://{HOST}/1k")
    _, back, _ = browser.ask(to_provider)
    status, _, body = browser.ask(back)
    if not any(name.startswith("mod_auth_openidc_session") for name in browser.cookies):
        raise SystemExit(f"signing in by OpenID was answered with {status}: {body}")


@contextlib.contextmanager
def lemonldap(folder: Path, to: int, people: int) -> Iterator[Running]:
    """The FastCGI server behind nginx, configured as its documentation shows for nginx and a reverse proxy."""
    port, socket, state = free_port(), folder / "run" / "llng.sock", folder / "state"
    for path in (
        socket.parent,
        state / "conf",
        state / "sessions" / "lock",
        state / "psessions" / "lock",
        state / "cache",
    ):
        path.mkdir(parents=True)
    ini = folder / "lemonldap-ng.ini"
    ini.write_text(lemonldap_ini(state))
    (state / "conf" / "lmConf-1.json").write_text(json.dumps(lemonldap_settings(state)))
    as_root = os.geteuid() == 0
    if as_root:  # it refuses to run as root
        for path in (socket.parent, state, *state.rglob("*")):
            shutil.chown(path, "www-data", "www-data")
    environ = {
        **os.environ,
        "LLNG_DEFAULTCONFFILE": str(ini),
        "LLNG_DEFAULTLOGGER": "Lemonldap::NG::Common::Logger::Std",
    }
    command = ("llng-fastcgi-server", "--foreground", "--socket", str(socket), "--pid", str(socket.parent / "pid"))
    owner = ("--user", "www-data", "--group", "www-data") if as_root else ()
    with contextlib.ExitStack() as stack:
        fastcgi = servers.start(SERVER_CORE, *command, *owner, environ=environ, log=folder / "fastcgi.log")
        stack.callback(end, fastcgi)
        wait_for(socket)
        config = servers.nginx_config(folder, "nginx", lemonldap_nginx(folder, port, to, socket))
        process = servers.start(SERVER_CORE, "nginx", "-c", str(config), log=folder / "nginx.log")
        stack.callback(end, process)
        wait_for(port)
        browsers = tuple(Browser({HOST: port, PORTAL: port}) for _ in range(people))
        for browser in browsers:
            sign_in_at_portal(browser)
        yield Running(port, (process, fastcgi), browsers)


def lemonldap_ini(state: Path) -> str:
    return f"""
[all]
logLevel = warn
[configuration]
type = File
dirName = {state}/conf
localStorage = Cache::FileCache
localStorageOptions = {{ 'namespace' => 'lemonldap-ng-config', 'cache_root' => '{state}/cache', 'cache_depth' => 3 }}
[portal]
staticPrefix = /static
templateDir = /usr/share/lemonldap-ng/portal/templates
languages = en
[handler]
status = 0
useRedirectOnError = 1
"""


def lemonldap_settings(state: Path) -> dict[str, object]:
    """What Debian installs at first, with one application that is told who asks."""
    return {
        "cfgNum": 1, "cfgAuthor": "bench", "cfgDate": str(int(time.time())),
        "domain": "example.com",
        "portal": f"http://{PORTAL}/",
        "authentication": "Demo", "userDB": "Same", "passwordDB": "Demo", "registerDB": "Null",
        "demoExportedVars": {"cn": "cn", "mail": "mail", "uid": "uid"},
        "whatToTrace": "_whatToTrace",
        "macros": {"_whatToTrace": "lc($_user)"},
        "timeout": LASTING,
        "locationRules": {HOST: {"default": "accept"}, PORTAL: {"default": "accept"}},
        "exportedHeaders": {HOST: {"Auth-User": "$uid", "Auth-Mail": "$mail", "Auth-Cn": "$cn"}},
        "globalStorage": "Apache::Session::File",
        "globalStorageOptions": {
            "Directory": f"{state}/sessions", "LockDirectory": f"{state}/sessions/lock",
            "generateModule": "Lemonldap::NG::Common::Apache::Session::Generate::SHA256",
        },
        "persistentStorage": "Apache::Session::File",
        "persistentStorageOptions": {"Directory": f"{state}/psessions", "LockDirectory": f"{state}/psessions/lock"},
        "localSessionStorage": "Cache::FileCache",
        "localSessionStorageOptions": {
            "namespace": "lemonldap-ng-sessions", "default_expires_in": 600, "directory_umask": "007",
            "cache_root": f"{state}/cache", "cache_depth": 3,
        },
        "key": base64.b64encode(os.urandom(24)).decode(),
    }  # fmt: skip


def lemonldap_nginx(folder: Path, port: int, to: int, socket: Path) -> str:
    """What nginx is told about the portal and the application. Log lines name the person, as in its own files."""
    told = ("user", "mail", "cn")
    return f"""
log_format lm_combined '$remote_addr - $lmremote_user [$time_local] "$request" $status $body_bytes_sent'
  ' "$http_referer" "$http_user_agent"';
upstream app {{ server 127.0.0.1:{to}; keepalive 64; keepalive_requests 100000000; }}
server {{
  listen 127.0.0.1:{port} backlog=4096;
  server_name {PORTAL};
  root /usr/share/lemonldap-ng/portal/htdocs/;
  rewrite ^/(.*)$ /index.psgi/$1 break;
  location ~ ^(?<sc>/.*\\.psgi)(?:$|/) {{
    include /etc/nginx/fastcgi_params;
    fastcgi_pass unix:{socket};
    fastcgi_param LLTYPE psgi;
    fastcgi_param SCRIPT_FILENAME $document_root$sc;
    fastcgi_split_path_info ^(.*\\.psgi)(/.*)$;
    fastcgi_param PATH_INFO $fastcgi_path_info;
  }}
}}
server {{
  listen 127.0.0.1:{port};
  server_name {HOST};
  access_log {folder}/access.log lm_combined;
  location = /lmauth {{
    internal;
    include /etc/nginx/fastcgi_params;
    fastcgi_pass unix:{socket};
    fastcgi_pass_request_body off;
    fastcgi_param CONTENT_LENGTH "";
    fastcgi_param HTTP_HOST $host;
    fastcgi_param X_ORIGINAL_URI $original_uri;
  }}
  location / {{
    set $original_uri $uri$is_args$args;
    auth_request /lmauth;
    auth_request_set $lmremote_user $upstream_http_lm_remote_user;
    auth_request_set $lmlocation $upstream_http_location;
    auth_request_set $lmcookie $upstream_http_cookie;
    error_page 401 $lmlocation;
    {" ".join(f"auth_request_set $auth{name} $upstream_http_auth_{name};" for name in told)}
    {" ".join(f"proxy_set_header Auth-{name.title()} $auth{name};" for name in told)}
    proxy_set_header Cookie $lmcookie;
    proxy_set_header Host $host;
    proxy_set_header Connection "";
    proxy_http_version 1.1;
    proxy_pass http://app;
  }}
}}
"""


def sign_in_at_portal(browser: Browser) -> None:
    _, _, page = browser.ask(f"http://{PORTAL}/")
    token = re.search(r'name="token" value="([^"]*)"', page)
    status, _, body = browser.ask(f"http://{PORTAL}/", {**EVERYBODY, "token": token[1] if token else ""})
    if "lemonldap" not in browser.cookies:
        raise SystemExit(f"LemonLDAP::NG's portal answered with {status}: {body}")
