"""The address of a PostgreSQL store: what both asyncpg and PostgreSQL's own programs understand, and nothing else."""

from __future__ import annotations

import pytest

from gateway.store.dsn import read
from gateway.store.location import PostgreSQL, locate

PRIMARY = "target_session_attrs=read-write"


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        ("u@h/d", [("h", 5432)]),
        ("u:p%40@h:5433/d", [("h", 5433)]),
        ("u@h1,h2:5433/d", [("h1", 5432), ("h2", 5433)]),
        ("u@[2001:db8::1]:5433,[::1]/d", [("2001:db8::1", 5433), ("::1", 5432)]),
        ("u@/d?host=/run/postgresql", [("/run/postgresql", 5432)]),
        ("u@%2Frun%2Fpostgresql:5433/d", [("/run/postgresql", 5433)]),
        ("/d?host=h1,h2&port=1,2", [("h1", 1), ("h2", 2)]),
        ("/d?host=h1,h2&port=1", [("h1", 1), ("h2", 1)]),
        ("/d", []),
    ],
)
def test_all_hosts_are_read_with_their_ports(address: str, hosts: list[tuple[str, int]]) -> None:
    assert list(read(f"postgresql://{address}").hosts) == hosts


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("u:p@ss@h/d", "@ %40"),
        ("u:p#ss@h/d", "# %23"),
        ("u:p[ss@h/d", "[ %5B"),
        ("u@[::1],[::2]/d", "with its port, like [::1]:5432"),
        ("u@/d?host=::1", "before the database, like user@[::1]"),
        ("u:p/ss@h/d", "/ in a password as %2F"),
        ("u@h:99999/d", "a number up to 65535"),
        ("u@h1,,h2/d", "a host is missing"),
        ("u@h/d?host=h2", "in one place"),
        ("u@h/d?port=1", "in one place"),
        ("/d?host=h1,h2,h3&port=1,2", "one port for all hosts"),
        ("u@h/d?password=secret", "user:password@host"),
        ("u@h/d?sslmode=on", "sslmode is one of disable"),
        ("u@h/d?sslmode", "name=value"),
        ("u@h/d?sslmode=", "sslmode has no value"),
        ("u@h/d?sslmode=verify-full&sslrootcert=system", "ca-certificates.crt"),
        ("u@h/d?target_session_attrs=prefer-standby", "target_session_attrs is one of read-write, primary"),
        ("u@h/d?channel_binding=require", "channel_binding is not known here; after the ? there may be host, port"),
        ("u@h/d?statement_timeout=0", "statement_timeout is not known here"),
    ],
)
def test_what_one_of_them_does_not_understand_is_refused_with_advice_and_without_the_password(
    address: str, advice: str
) -> None:
    with pytest.raises(ValueError, match=r"^[a-z]") as refused:
        locate(f"postgresql://{address}")
    assert advice in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("u@h/d", ""),
        ("u@h/d?sslmode=require", ""),
        ("u@h1,h2/d", f"?{PRIMARY}"),
        ("u@h1,h2/d?", f"{PRIMARY}"),
        ("u@h1,h2/d?sslmode=require", f"&{PRIMARY}"),
        ("u@h1,h2/d?target_session_attrs=primary", ""),
    ],
)
def test_of_several_servers_the_one_that_accepts_writes_is_asked_for(address: str, asked: str) -> None:
    assert locate(f"postgresql://{address}") == PostgreSQL(f"postgresql://{address}{asked}")
