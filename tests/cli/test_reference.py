"""The command line's reference names every command and every option that there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from featurestore.cli.app import app

REFERENCE = (Path(__file__).resolve().parents[2] / "docs/reference/cli.md").read_text(encoding="utf-8")


def test_every_command_and_option_is_documented() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(re.findall(r"^\| `fsdbt (\w+)", REFERENCE, re.MULTILINE)) == set(commands)
    every = [each for command in commands.values() for each in getattr(command, "commands", {"": command}).values()]
    options = {name for command in every for option in command.params for name in option.opts if name.startswith("--")}
    assert set(re.findall(r"--[a-z-]*[a-z]", REFERENCE)) == options
