"""What people type is read as what they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.factors.backup_code.factor import digest
from gateway.factors.typed import read_code, read_digits
from gateway.model.secret import Secret


@pytest.mark.parametrize(
    "typed",
    [
        "123456",
        "123 456",
        "123-456",
        "１２３４５６",
        "１２３　４５６",
        "\u200e123456\u200f",
        "123\u200b456",
        "\ufeff123\u2060456",
        "123\u00ad456",
        "\u2066123456\u2069",
        "١٢٣٤٥٦",
        "۱۲۳۴۵۶",
        "१२३४५६",
        "①②③④⑤⑥",
        "123\u2013456",
        "123456\r\n",
        "code: 123456",
    ],
)
def test_six_digits_are_six_digits_however_they_are_typed(typed: str) -> None:
    assert read_digits(Secret(typed)) == "123456"


@pytest.mark.parametrize(
    "typed",
    [
        "ABCDE-23456",
        "abcde 23456",
        "ＡＢＣＤＥ－２３４５６",
        "\u200eabcde\u200b23456",
        "abcde\u201123456",
        "abcde٢٣٤٥٦",
    ],
)
def test_a_code_with_letters_too(typed: str) -> None:
    assert read_code(Secret(typed)) == "ABCDE23456"
    assert digest(Secret(typed)) == digest(Secret("ABCDE-23456"))


@pytest.mark.parametrize("typed", ["", "ß", "ı", "é", "Ж", "\ud800", "−"])
def test_what_is_neither_letter_nor_digit_is_left_out(typed: str) -> None:
    assert read_code(Secret(typed)) == ""


@given(st.text(max_size=300))
def test_what_is_read_is_ascii_and_reading_it_again_changes_nothing(typed: str) -> None:
    read = read_code(Secret(typed))
    assert read.isascii()
    assert read_code(Secret(read[:200])) == read[:200]
