"""Reads `vars: {featurestore: {checks: {<rule>: <severity>}}}`: which rules a project takes more or less seriously, or not at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from featurestore.errors import SettingsError, did_you_mean

from .finding import Severity

OFF = "off"
_WORDS = (*(severity.value for severity in Severity), OFF)


def read_severities(said: Mapping[str, object], known: Collection[str], file: object) -> dict[str, Severity | None]:
    """The severities that a project says; None for a rule that it switches off.

    Args:
        known: the ids of all rules.
        file: where it says so, for an error.

    Raises SettingsError naming every rule and every word that there is not.
    """
    problems: list[str] = []
    found: dict[str, Severity | None] = {}
    for rule, word in said.items():
        # YAML reads a bare `off` as false.
        text = OFF if word is False else str(word)
        if rule not in known:
            problems.append(f"checks: there is no rule {rule!r}.{did_you_mean(str(rule), known)}")
        elif text not in _WORDS:
            problems.append(f"checks: {rule}: must be one of {', '.join(_WORDS)}, not {text!r}.{did_you_mean(text, _WORDS)}")
        else:
            found[rule] = None if text == OFF else Severity(text)
    if problems:
        raise SettingsError("\n".join([f"{file}:", *(f"  vars: featurestore: {problem}" for problem in problems)]))
    return found
