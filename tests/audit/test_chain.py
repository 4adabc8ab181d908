"""Whatever is done to the log behind the program's back is found and named, on both engines."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from gateway.audit import marks, rows
from gateway.audit.chain import GENESIS, Head, Row, extend, is_intact
from gateway.audit.marks import Kind, Signer, read_lines
from gateway.audit.verify import Broken, Whole, Wrong
from gateway.model.event import Event
from gateway.model.secret import Secret
from gateway.store import Store
from tests.audit.log import ENTRY, SECRET, erase, keeper, meddle, verify, write, write_many
from tests.store.people import NOW

TEN = 10


async def test_an_empty_log_and_a_long_one_are_whole(store: Store) -> None:
    assert await verify(store) == Whole(0, Head(), 0, 0, 0)
    await write_many(store, TEN)
    found = await verify(store)
    assert isinstance(found, Whole)
    assert (found.start, found.end.number, found.rows) == (0, TEN, TEN)


async def test_a_transaction_that_fails_leaves_no_gap(store: Store) -> None:
    await write_many(store, 2)
    with pytest.raises(ZeroDivisionError):
        async with store.transaction() as tx:
            await rows.record(tx, ENTRY)
            raise ZeroDivisionError
    await write_many(store, 2)
    found = await verify(store)
    assert isinstance(found, Whole)
    assert found.end.number == 4


CHANGES = [
    "at = at + 1",
    "event = 'logout'",
    "outcome = 'failure'",
    "tenant = 'beta'",
    "tenant = NULL",
    "account = 'acc_bob'",
    "session = NULL",
    "request_id = 'r0'",
    "details = '{}'",
    "identifier = 'bob@acme.example'",
    "address = '192.0.2.8'",
    "user_agent = ''",
    'personal = \'{"device": "x"}\'',
    "actor = 'adam@acme.example'",
    "who_salt = NULL",
    "identifier = '', address = '', user_agent = '', personal = ''",
]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_changed_field_is_found(store: Store, change: str) -> None:
    await write_many(store, TEN)
    await meddle(store, f"UPDATE audit SET {change} WHERE id = 6")
    assert await verify(store) == Broken(6, Wrong.CHANGED)


@pytest.mark.parametrize("column", ["hash", "who_commitment", "who_salt"])
async def test_one_changed_byte_of_a_hash_is_found(store: Store, column: str) -> None:
    await write_many(store, TEN)
    async with store.transaction() as tx:
        row = await rows.find(tx, 6)
        assert row is not None
        old = getattr(row, column)
        statement = text(f"UPDATE audit SET {column} = :new WHERE id = 6")
        await tx.execute(statement, {"new": bytes([old[0] ^ 1]) + old[1:]})
    assert await verify(store) == Broken(6, Wrong.CHANGED)


async def test_a_removed_row_is_named(store: Store) -> None:
    await write_many(store, TEN)
    await meddle(store, "DELETE FROM audit WHERE id = 4")
    assert await verify(store) == Broken(4, Wrong.REMOVED)
    await meddle(store, "DELETE FROM audit WHERE id IN (5, 6)")
    found = await verify(store)
    assert str(found) == "row 4 was removed (and all up to 6)"


async def test_a_removed_beginning_is_named(store: Store) -> None:
    await write_many(store, TEN)
    await meddle(store, "DELETE FROM audit WHERE id <= 3")
    assert await verify(store) == Broken(1, Wrong.REMOVED, "and all up to 3")


@pytest.mark.parametrize(("one", "other"), [(4, 5), (3, 8)])
async def test_two_rows_that_were_swapped_are_named(store: Store, one: int, other: int) -> None:
    await write_many(store, TEN)
    await meddle(
        store,
        f"UPDATE audit SET id = -1 WHERE id = {one}",
        f"UPDATE audit SET id = {one} WHERE id = {other}",
        f"UPDATE audit SET id = {other} WHERE id = -1",
    )
    assert await verify(store) == Broken(one, Wrong.MOVED, f"it stands as row {other}")


async def test_a_tail_that_was_cut_is_named(store: Store) -> None:
    await write_many(store, TEN)
    await meddle(store, "DELETE FROM audit WHERE id > 7")
    assert await verify(store) == Broken(8, Wrong.CUT)


async def test_a_tail_that_was_cut_with_care_shows_by_a_checkpoint_kept_elsewhere(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "checkpoints"
    await write_many(store, TEN)
    assert await keeper(store, checkpoint_file=str(file)).checkpoint(NOW) is not None
    async with store.reading() as tx:
        row = await rows.find(tx, 7)
    assert row is not None
    await meddle(store, "DELETE FROM audit WHERE id > 7", "DELETE FROM audit_marks")
    async with store.transaction() as tx:
        await tx.execute(text("UPDATE audit_head SET number = 7, hash = :hash"), {"hash": row.hash})
    assert isinstance(await verify(store), Whole)
    assert await verify(store, *read_lines(file.read_text())) == Broken(8, Wrong.CUT)


async def test_a_chain_that_was_computed_anew_is_not_what_a_checkpoint_saw(store: Store) -> None:
    await write_many(store, TEN)
    assert await keeper(store).checkpoint(NOW) is not None
    await meddle(store, "DELETE FROM audit")
    async with store.transaction() as tx:
        await tx.execute(text("UPDATE audit_head SET number = 0, hash = :hash"), {"hash": GENESIS})
    await write_many(store, TEN + 2, tenant="beta")
    assert await verify(store) == Broken(TEN, Wrong.REWRITTEN)


async def test_rows_beyond_the_end_were_added_by_somebody_else(store: Store) -> None:
    await write_many(store, TEN)
    async with store.transaction() as tx:
        last = await rows.read_head(tx)
        added = extend(last, ENTRY, b"a" * 16, b"b" * 16)
        columns = ", ".join(Row._fields)
        await tx.execute(
            text(f"INSERT INTO audit VALUES ({', '.join(f':{name}' for name in Row._fields)})"), added._asdict()
        )
        assert columns
    assert await verify(store) == Broken(TEN + 1, Wrong.ADDED)


@pytest.mark.usefixtures("unhurried")
async def test_writers_at_once_make_one_chain(store_url: str) -> None:
    """As two machines, or two workers, do."""
    machines = [Store.open(store_url), Store.open(store_url)]
    await asyncio.gather(*(write(machines[n % 2], ENTRY, ENTRY) for n in range(40)))
    found = await verify(machines[0])
    assert isinstance(found, Whole)
    assert found.rows == 80
    for machine in machines:
        await machine.close()


# Checkpoints.


async def test_a_checkpoint_is_written_once_an_hour_and_only_when_something_happened(
    store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoints"
    keeping = keeper(store, checkpoint_file=str(file), checkpoint_mail="auditor@acme.example")
    assert await keeping.checkpoint(NOW) is None
    await write_many(store, 2)
    first = await keeping.checkpoint(NOW)
    assert first is not None
    assert await keeping.checkpoint(NOW + 4_000) is None
    await write_many(store, 2)
    assert await keeping.checkpoint(NOW + 3_599) is None
    second = await keeping.checkpoint(NOW + 3_600)
    assert second is not None
    assert (first.number, second.number) == (2, 4)
    assert read_lines(file.read_text()) == [first, second]
    assert file.stat().st_mode & 0o077 == 0
    async with store.reading() as tx:
        mails = (await tx.execute(text("SELECT template, recipient FROM outbox"))).all()
    assert [tuple(mail) for mail in mails] == [("audit_checkpoint", "auditor@acme.example")] * 2
    found = await verify(store, first, second)
    assert isinstance(found, Whole)
    assert found.checkpoints == 2


async def test_of_many_workers_one_writes_the_checkpoint(store: Store) -> None:
    await write_many(store, 4)
    written = await asyncio.gather(*(keeper(store).checkpoint(NOW) for _ in range(6)))
    assert len([mark for mark in written if mark]) == 1


async def test_a_checkpoint_that_none_of_our_keys_signed_is_refused(store: Store) -> None:
    await write_many(store, 4)
    mark = await keeper(store).checkpoint(NOW)
    assert mark is not None
    assert await verify(store, secret=Secret(b"o" * 48)) == Broken(4, Wrong.FORGED)
    assert await verify(store, replace(mark, number=3)) == Broken(3, Wrong.FORGED)
    assert await verify(store, replace(mark, kind=Kind.ANCHOR)) == Broken(4, Wrong.FORGED)


async def test_checkpoints_outlive_the_rotation_of_the_secret(store: Store) -> None:
    new = Secret(b"n" * 48)
    await write_many(store, 4)
    await keeper(store).checkpoint(NOW)
    both = Signer([new, SECRET])
    async with store.transaction() as tx:
        assert await marks.sign_anew(tx, both) == 1
        assert await marks.sign_anew(tx, both) == 0
    assert isinstance(await verify(store, secret=new), Whole)


def test_a_checkpoint_is_found_in_a_mail_and_checked_with_the_public_key() -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    signer = Signer([SECRET])
    mark = signer.sign(Kind.CHECKPOINT, Head(7, b"h" * 32), NOW)
    assert read_lines(f"Hello,\n\nthe log:\n\n{mark.line()}\n\n-- \nOtium") == [mark]
    public = load_pem_public_key(signer.public_pem().encode())
    signed = f"otium-gateway audit 1\ncheckpoint\n7\n{(b'h' * 32).hex()}\n{NOW}".encode()
    public.verify(mark.signature, signed)  # type: ignore[union-attr,call-arg]


@pytest.mark.parametrize("line", ["{", "{}", '{"kind": "x"}', '{"kind": "checkpoint", "number": "a"}'])
def test_a_line_that_is_no_checkpoint_is_said_to_be_none(line: str) -> None:
    with pytest.raises(marks.Unreadable):
        read_lines(line)


# Retention.


async def test_what_is_old_goes_and_the_rest_is_whole(store: Store) -> None:
    day = 86_400
    await write(store, *(replace(ENTRY, at=NOW - n * day) for n in range(9, -1, -1)))
    await keeper(store).checkpoint(NOW)
    assert await keeper(store, keep_days=0).trim(NOW) == 0
    assert await keeper(store, keep_days=4).trim(NOW) == 5
    assert await keeper(store, keep_days=4).trim(NOW) == 0
    found = await verify(store)
    assert isinstance(found, Whole)
    assert (found.start, found.rows) == (5, 6)
    async with store.reading() as tx:
        last = (await rows.recent(tx, 1))[0]
    assert (last.event, dict(last.details)) == (Event.AUDIT_TRIMMED, {"rows": 5, "up_to": 5})
    await meddle(store, "DELETE FROM audit WHERE id = 6")
    assert await verify(store) == Broken(6, Wrong.REMOVED)


@pytest.mark.parametrize(
    "change", ["UPDATE audit SET event = 'logout' WHERE id = 2", "UPDATE audit SET identifier = 'x' WHERE id = 2"]
)
async def test_what_was_changed_is_not_covered_up_by_its_age(store: Store, change: str) -> None:
    day = 86_400
    await write(store, *(replace(ENTRY, at=NOW - n * day) for n in range(9, -1, -1)))
    await meddle(store, change)
    assert await keeper(store, keep_days=4).trim(NOW) == 0
    assert await verify(store) == Broken(2, Wrong.CHANGED)


async def test_all_may_be_old(store: Store) -> None:
    await write_many(store, 4)
    assert await keeper(store, keep_days=1).trim(NOW + 10 * 86_400) == 4
    await write_many(store, 2)
    found = await verify(store)
    assert isinstance(found, Whole)
    assert (found.start, found.end.number) == (4, 7)


async def test_an_anchor_can_not_be_made_up(store: Store) -> None:
    await write_many(store, TEN)
    await keeper(store).checkpoint(NOW)
    await meddle(store, "DELETE FROM audit WHERE id < 10", "UPDATE audit_marks SET kind = 'anchor'")
    assert await verify(store) == Broken(TEN, Wrong.FORGED)


# Erasing a person.


async def test_an_erased_person_is_gone_and_the_chain_is_whole(store: Store) -> None:
    bob = replace(ENTRY, identifier="bob@acme.example", account="acc_bob")
    await write(
        store,
        replace(ENTRY, details={"device": "Ann's phone", "reason": "wrong", "left": 3}),
        replace(ENTRY, identifier="old-ann@acme.example"),
        replace(ENTRY, account=None, tenant=None),
        replace(bob, details={"by": "ann@acme.example", "sessions_ended": 2}),
        bob,
    )
    done = (await erase(store, "ann@acme.example")).log
    assert (done.about, done.by) == (3, 1)
    async with store.reading() as tx:
        kept = json.dumps([row._asdict() for row in await rows.after(tx, 0, 99)], default=bytes.hex)
        first = await rows.find(tx, 1)
        about_bob = await rows.find(tx, 4)
    assert "ann" not in kept.replace("acc_ann", "").lower()
    assert "192.0.2.7" in kept  # Bob's
    assert first is not None
    assert about_bob is not None
    assert rows.details_of(first) == {"reason": "wrong", "left": 3}
    assert (about_bob.identifier, rows.details_of(about_bob)) == ("bob@acme.example", {"sessions_ended": 2})
    found = await verify(store)
    assert isinstance(found, Whole)
    assert found.erased == 4


async def test_a_person_that_was_erased_by_somebody_else_is_noticed(store: Store) -> None:
    await write_many(store, 6)
    await meddle(
        store, "UPDATE audit SET identifier='', address='', user_agent='', personal='', who_salt=NULL WHERE id = 3"
    )
    assert await verify(store) == Broken(3, Wrong.ERASED, "1 erased, 0 told of")


async def test_erased_rows_that_grew_old_are_no_riddle(store: Store) -> None:
    day = 86_400
    await write(store, *(replace(ENTRY, at=NOW - n * day) for n in range(9, -1, -1)))
    await erase(store)
    await keeper(store, keep_days=4).trim(NOW)
    assert isinstance(await verify(store), Whole)


@pytest.mark.usefixtures("unhurried")
async def test_erasing_and_trimming_at_once_do_not_wait_for_each_other(store: Store) -> None:
    day = 86_400
    await write(store, *(replace(ENTRY, at=NOW - n * day) for n in range(200, -1, -1)))
    await asyncio.gather(
        keeper(store, keep_days=4).trim(NOW),
        erase(store),
        *(write(store, ENTRY) for _ in range(10)),
    )
    assert isinstance(await verify(store), Whole)


# The arithmetic.


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_chained_and_no_other_text_passes_for_it(identifier: str, agent: str, other: str) -> None:
    row = extend(Head(), replace(ENTRY, identifier=identifier, user_agent=agent), b"a" * 16, b"b" * 16)
    assert is_intact(GENESIS, row)
    assert not is_intact(b"x" * 32, row)
    assert is_intact(GENESIS, row._replace(identifier=other)) == (other == identifier)


def test_texts_can_not_move_between_fields() -> None:
    row = extend(Head(), replace(ENTRY, identifier="ab", address="c"), b"a" * 16, b"b" * 16)
    assert not is_intact(GENESIS, row._replace(identifier="a", address="bc"))
