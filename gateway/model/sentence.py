"""Sentences that people are shown, marked so that the catalogue has them and a page can translate them."""

from __future__ import annotations

from typing import Self


class Sentence(str):
    """An English sentence, with its `fields` filled in. `text` is what the catalogue has: the sentence before that.

    A page shows no other text from Python (see Renderer.translate). Where a sentence was kept in the store, only `text`
    without fields can be told from it again.
    """

    text: str
    fields: dict[str, object]

    def __new__(cls, text: str = "", **fields: object) -> Self:
        sentence = super().__new__(cls, text.format(**fields) if fields else text)
        sentence.text, sentence.fields = text, fields
        return sentence
