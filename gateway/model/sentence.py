"""Sentences that people see, marked for extraction into the message catalogue."""

from __future__ import annotations

from typing import Self


class Sentence(str):
    """An English sentence with its `fields` filled in. `text` is the catalogue's key: the sentence before that.

    Pages and mails show no other text from Python (see languages.reader.translate). A sentence read back from the store
    can only be translated if it has no fields.
    """

    text: str
    fields: dict[str, object]

    def __new__(cls, text: str = "", **fields: object) -> Self:
        sentence = super().__new__(cls, text.format(**fields) if fields else text)
        sentence.text, sentence.fields = text, fields
        return sentence
