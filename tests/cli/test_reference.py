"""The command line's reference names every command and every option that there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import typer

from featurestore.cli.app import app
from featurestore.server.settings import ServerSettings

REFERENCE = (Path(__file__).resolve().parents[2] / "docs/reference/cli.md").read_text(encoding="utf-8")


def test_every_command_and_option_is_documented() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(re.findall(r"^\| `fsdbt (\w+)", REFERENCE, re.MULTILINE)) == set(commands)
    every = [each for command in commands.values() for each in getattr(command, "commands", {"": command}).values()]
    options = {name for command in every for option in command.params for name in option.opts if name.startswith("--")}
    assert set(re.findall(r"--[a-z-]*[a-z]", REFERENCE)) == options


def test_every_setting_of_a_server_is_a_flag_that_says_its_default() -> None:
    serve = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    options = {option.name: option for option in serve.params}
    for field in msgspec.structs.fields(ServerSettings):
        if field.name == "base_dir":
            continue
        option = options["no_access_log" if field.name == "access_log" else field.name]
        assert option.default in (None, False)
        if isinstance(field.default, str | int | float) and not isinstance(field.default, bool) and field.default != "":
            shown = f"{field.default:g}" if isinstance(field.default, float) else field.default
            assert f"[default: {shown}]" in (option.help or "")
