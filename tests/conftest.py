"""What tests share: stores, one gateway, one upstream that records.

Every test of rows runs twice: on a SQLite file and in a database of a real PostgreSQL.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from gateway.store import Store, engine, postgresql
from gateway.store.lease import Terms
from gateway.store.migrate import migrate
from tests import FORM
from tests.support import compile_cache, forks, postgres, turns
from tests.support.gateway import Gateway
from tests.support.identity_provider import IdentityProvider
from tests.support.upstream import RecordingUpstream

# A machine that does other things as well may take its time over any example. Each run tries the same ones, so that none
# fails by chance; `--hypothesis-profile=search` looks for new ones, and what it finds is kept as an `@example`.
UNTIMED = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("search", UNTIMED, max_examples=20_000)
hypothesis.settings.register_profile("repeated", UNTIMED, derandomize=True)
hypothesis.settings.load_profile("repeated")

compile_cache.share()

ENGINES = ("sqlite", "postgresql")
# Files and folders, those that take longest first.
LONG = (
    *(
        "threats/test_loop_lag.py",
        "scim/test_loop.py",
    ),  # alone, so first of all: nobody waits for what others have begun
    *(
        "journeys/test_every_page.py",
        "journeys/test_factors.py",
        "threats/test_devices.py",
        "demo",
        "store/test_moving.py",
        "compiled/test_existing.py",  # one test of some minutes: not before all that run alone have begun
    ),
    *(
        "cli/test_backups.py",
        "threats/test_killed.py",
        "project/test_package.py",
        "journeys",
        "cli",
        "login",
        "process",
    ),
    *("threats", "proxy", "accounts/test_app_import.py", "store/test_two_machines.py", "store/test_rolling.py"),
    *("store/test_lease.py", "store/test_live.py"),
)
numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    if FORM.problem:
        raise pytest.UsageError(FORM.problem)
    if given := getattr(config, "workerinput", None):
        forks.use(given["forks"])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--on", choices=ENGINES, default="sqlite", help="the store of the journeys' site")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two processes more than there are cores: much of the time a test waits."""
    return len(os.sched_getaffinity(0)) + 2


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each process of xdist where the turns of all are kept, where processes are forked, and if all tests run."""
    node.workerinput["turns"] = str(turns.folder())
    node.workerinput["forks"] = forks.start()
    node.workerinput["runs_all"] = node.config.args_source is pytest.Config.ArgsSource.TESTPATHS


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, Any, Any]:
    """Collect without the garbage collector: tests are no garbage, and it would look at all of them again and again."""
    gc.disable()
    try:
        import_share(session.config)
        return (yield)
    finally:
        gc.enable()


def import_share(config: pytest.Config) -> None:
    """Let each process of xdist begin with another share of the files: in a new clone all have to be compiled.

    In the same order, every process would compile each file at the same moment, and none find it compiled.
    """
    given = getattr(config, "workerinput", {})
    if given.get("runs_all"):
        files = sorted(Path(__file__).parent.rglob("test_*.py"))
        for file in files[int(given["workerid"].removeprefix("gw")) :: given["workercount"]]:
            with contextlib.suppress(Exception):  # which the collection reports
                importlib.import_module(".".join(file.relative_to(config.rootpath).with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let files that take long begin first, so that at the end no process runs one while the others have nothing."""
    places = [Path(__file__).parent / name for name in LONG]
    assert all(place.exists() for place in places), "LONG names a file or folder that is not there"

    @functools.cache
    def rank(file: Path) -> int:
        return next((at for at, place in enumerate(places) if file.is_relative_to(place)), len(places))

    items.sort(key=lambda item: rank(item.path))


def pytest_collection_finish() -> None:
    """Let the garbage collector look at what tests make, and not again and again at the tests themselves."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    folder = getattr(item.config, "workerinput", {}).get("turns")
    if folder is None:
        return (yield)
    with turns.turn(Path(folder), alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    with postgres.running() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_copies(postgres_server: postgres.Server) -> postgres.Copies:
    migrate(postgres_server.create("migrated"))
    return postgres.Copies(postgres_server, "migrated")


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "migrated.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """Return the URL of a migrated, empty SQLite store."""
    path = tmp_path / "gateway.db"
    shutil.copy(migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_server: postgres.Server, postgres_copies: postgres.Copies) -> Iterator[str]:
    """Return the URL of a migrated, empty PostgreSQL store."""
    name = postgres_copies.take()
    yield postgres_server.url_of(name)
    postgres_copies.give_back(name)


@pytest.fixture(params=ENGINES)
def store_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture(scope="module")
def store_of_module(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return where the store is: "" is a SQLite file; with --on=postgresql, a database."""
    if request.config.getoption("--on") == "sqlite":
        yield ""
        return
    server, copies = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_copies")
    name = copies.take()
    yield server.url_of(name)
    copies.give_back(name)


@pytest.fixture(params=ENGINES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a store in which nobody has made anything."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/folder/empty.db"
        return
    server: postgres.Server = request.getfixturevalue("postgres_server")
    name = f"empty_{next(numbers)}"
    yield server.create(name)
    server.drop(name)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """For many transactions at once: however slow the machine is, PostgreSQL counts as silent only after a minute."""
    monkeypatch.setattr(engine, "OPEN_SECONDS", 60.0)
    monkeypatch.setattr(postgresql, "BEGIN_SECONDS", 60.0)
    monkeypatch.setattr(postgresql, "CONNECT_SECONDS", 60.0)


@pytest.fixture
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """For workers in this process: however slow the machine is, none of them loses its lease while it has to wait."""
    for user in ("gateway.store.confirm", "gateway.sessions.leaseholder"):
        monkeypatch.setattr(f"{user}.TERMS", Terms(seconds=60, margin=0.2))


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    store = Store.open(store_url)
    yield store
    await store.close()


@pytest.fixture(scope="session")
def recorder() -> Iterator[RecordingUpstream]:
    upstream = RecordingUpstream().start()
    yield upstream
    upstream.stop()


@pytest.fixture
def upstream(recorder: RecordingUpstream) -> RecordingUpstream:
    """The recording upstream, with nothing recorded yet and no scripts."""
    recorder.reset()
    return recorder


@pytest.fixture(scope="module")
def gateway(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with two workers in front of the recording upstream, as it would run."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    changes = {
        "IDENTITY__STRIP": '["X-Company-*", "X-Trusted-User"]',
        "LIMITS__PASSWORD_FAILURES": "5",
        "LISTEN__DRAIN_SECONDS": "5",
        "HOSTS": '["www.example.com"]',
    }
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture(scope="module")
def employee(gateway: Gateway) -> str:
    """The Cookie line of a signed-in employee."""
    return gateway.sign_in("employee")


@pytest.fixture(scope="session")
def identity_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    """An OpenID Connect provider, in which each test makes a realm of its own."""
    provider = IdentityProvider(tmp_path_factory.mktemp("provider")).start()
    yield provider
    provider.stop()
