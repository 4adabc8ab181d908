"""A form is read as Python's own parser reads it, only in slices."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.web.form_data import MAX_FIELDS, READ_AT_ONCE, read_urlencoded

PIECES = st.sampled_from(["%41", "%C3%9F", "%e2%82%ac", "%", "%%", "%4", "%zz", "+", "a", "ß", "=", "&", ";", "%00"])


@given(st.lists(PIECES, max_size=60).map("".join))
@example("a=" + "%41" * READ_AT_ONCE)
@example("a=x" + "%41" * READ_AT_ONCE)
@example("a=xx" + "%C3%9F" * READ_AT_ONCE)
@example("a=" + "%" * 3 * READ_AT_ONCE)
@example("a=" + "%%41" * READ_AT_ONCE)
async def test_a_form_is_read_as_python_reads_it(body: str) -> None:
    try:
        expected = parse_qsl(body, keep_blank_values=True, errors="strict")
    except ValueError:
        with pytest.raises(ValueError, match="utf-8"):
            await read_urlencoded(body.encode())
        return
    assert await read_urlencoded(body.encode()) == expected


async def test_a_form_with_too_many_fields_is_refused() -> None:
    assert len(await read_urlencoded(b"&".join([b"a="] * MAX_FIELDS))) == MAX_FIELDS
    with pytest.raises(ValueError, match="too many"):
        await read_urlencoded(b"&".join([b"a="] * (MAX_FIELDS + 1)))
