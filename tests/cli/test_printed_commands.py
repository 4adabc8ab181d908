"""Commands that pages, messages and docs print work when they are pasted: they exist, and so does each option."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from gateway.cli import program
from gateway.login.commands import unlock_command

ROOT = Path(__file__).parents[2]
# A command ends with its line, its backquote or string, a comment, or what a shell does next with it.
PRINTED = re.compile(r"otium-gateway (?P<rest>(?:(?!otium-gateway|`|\"[,)\n]|<|&&|\||;| #|\)\"|> |, or ).)*)")
PLACES = ("README.md", "docs/*.md", "templates/**/*", "gateway/**/*.py", "config/*.toml", "config/*.yml", "bench/*.md")
ROOT_COMMAND = typer.main.get_command(program)


def printed() -> Iterator[tuple[str, str]]:
    for pattern in PLACES:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file():
                for found in PRINTED.finditer(path.read_text()):
                    yield str(path.relative_to(ROOT)), found["rest"].strip()


def words_of(text: str) -> list[str]:
    return [word.strip("[]()'\",.:;") for word in text.replace("…", "X").split()]


def resolve(words: list[str]) -> tuple[Any, list[str]] | None:
    """Return the command that words name, and its arguments; None if they are no command but plain text."""
    command: Any = ROOT_COMMAND
    while hasattr(command, "commands"):
        name = words.pop(0) if words else ""
        if name not in command.commands:
            return None
        command = command.commands[name]
    return command, words


COMMANDS = [
    pytest.param(place, text, id=f"{place}: {text[:60]}") for place, text in printed() if resolve(words_of(text))
]


def test_commands_are_found_everywhere() -> None:
    assert len(COMMANDS) > 40
    assert {"docs/operations.md", "docs/configuration.md", "README.md"} <= {param.values[0] for param in COMMANDS}


@pytest.mark.parametrize(("place", "text"), COMMANDS)
def test_a_printed_command_has_the_options_that_it_needs_and_no_others(place: str, text: str) -> None:
    found = resolve(words_of(text))
    assert found
    command, words = found
    options = {word.split("=")[0] for word in words if word.startswith("--")}
    known = {name for parameter in command.params for name in parameter.opts}
    assert options <= known | {"--help"}, (place, text)
    needed = {parameter.opts[0] for parameter in command.params if parameter.required and parameter.opts[0][0] == "-"}
    assert needed <= options or "--help" in options, (place, text)


@pytest.mark.parametrize("email", ["otto@otium.example", "o'neil&co@x.example", "$(id)@x.example", "-o@x.example"])
def test_the_email_in_a_command_is_one_word_for_the_shell(email: str) -> None:
    words = shlex.split(unlock_command(email, "--one-time-link"))
    assert words == ["otium-gateway", "account", "unlock", "--email", email, "--one-time-link", "--confirm"]
