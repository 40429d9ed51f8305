"""How well `fsdbt check` finds leaks: precision and recall of each rule on the labelled corpus in tests/checks/corpus.

A case counts for a rule where it must fire, or fires; a feature counts where it must be named, or is. A finding about a whole view counts as
one feature. What a case does not label is not measured: advice, and SQL that cannot be read, which is counted beside.

    python3 dev.py checks [--half development|held_out|both] [--wrong] [--write]

The held-out half is not looked at while rules are written: `--wrong`, which names the cases, is refused there.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "support"))

from check_cases import Case, open_case, read_case  # noqa: E402

from featurestore.checks.rules import DECLARATIONS, LEAKAGE, READING  # noqa: E402
from featurestore.checks.run import check  # noqa: E402

CORPUS = REPOSITORY / "tests" / "checks" / "corpus"
PAGE = REPOSITORY / "docs" / "reference" / "check.md"
HALVES = ("development", "held_out")
UNLABELLED = ("no_unique_test", "no_contract", "no_description", "no_owner")
WHOLE_VIEW = "the view"


@dataclass
class Score:
    """What a rule found, against what it had to find."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, expected: set[str], found: set[str]) -> None:
        self.right += len(expected & found)
        self.wrong += len(found - expected)
        self.missed += len(expected - found)

    @property
    def precision(self) -> float | None:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None

    @property
    def recall(self) -> float | None:
        return self.right / (self.right + self.missed) if self.right + self.missed else None


@dataclass
class RuleScore:
    cases: Score = field(default_factory=Score)
    features: Score = field(default_factory=Score)
    clean: int = 0
    """Cases in which it has nothing to find and finds nothing."""


@dataclass
class HalfScore:
    half: str
    cases: int
    rules: dict[str, RuleScore]
    unread: Counter[str]
    wrong: list[str]


def measured_rules() -> list[str]:
    """The rules that the corpus labels, in the order in which they are listed."""
    return [each.RULE.id for rules in (LEAKAGE, DECLARATIONS) for each in rules if each.RULE.id not in UNLABELLED]


def measure(half: str, only: str | None = None) -> HalfScore:
    """Ask every rule about every case of one half."""
    cases = [read_case(path) for path in sorted((CORPUS / half).glob("*.yaml"))]
    rules = measured_rules()
    score = HalfScore(half, len(cases), {rule: RuleScore() for rule in rules if only in (None, rule)}, Counter(), [])
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            found, unread = _found(case, Path(folder) / case.name)
            score.unread.update(unread)
            for rule, of_rule in score.rules.items():
                score.wrong += _score(case, rule, of_rule, found.get(rule))
    return score


def _found(case: Case, folder: Path) -> tuple[dict[str, set[str]], list[str]]:
    """The features that each rule names, and the rules that say that SQL cannot be read."""
    found: dict[str, set[str]] = {}
    report = check(open_case(case, folder))
    # What a project may waive leaks all the same.
    for each in (*report.findings, *report.waived):
        # Other views of a case are declared only for what they have in common with this one.
        found.setdefault(each.rule, set()).update(feature.feature for feature in each.features)
    return found, sorted(found.keys() & {each.RULE.id for each in READING})


def _score(case: Case, rule: str, score: RuleScore, found: set[str] | None) -> Iterator[str]:
    labelled = case.expected.get(rule)
    score.cases.add({rule} if labelled is not None else set(), {rule} if found is not None else set())
    if labelled is None and found is None:
        score.clean += 1
        return
    expected = set() if labelled is None else set(labelled) or {WHOLE_VIEW}
    named = set() if found is None else found or {WHOLE_VIEW}
    if labelled is not None and not labelled and found is not None:
        # Whichever features it names, it is about the view.
        named = {WHOLE_VIEW}
    score.features.add(expected, named)
    if expected != named:
        missed, wrong = sorted(expected - named), sorted(named - expected)
        yield f"{case.name}: {rule}:" + (f" misses {', '.join(missed)}" if missed else "") + (f" names {', '.join(wrong)}" if wrong else "")


def table(score: HalfScore) -> list[str]:
    """The scores as a table in Markdown."""
    lines = [
        f"| {score.half.replace('_', '-')} half, {score.cases} cases | must fire in | precision | recall | precision by feature | recall by feature |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    total = RuleScore()
    for rule, each in score.rules.items():
        lines.append(_line(f"`{rule}`", each))
        for mine, its in ((total.cases, each.cases), (total.features, each.features)):
            mine.right, mine.wrong, mine.missed = mine.right + its.right, mine.wrong + its.wrong, mine.missed + its.missed
    return [*lines, _line("all", total)]


def _line(name: str, each: RuleScore) -> str:
    cases, features = each.cases, each.features
    shown = (cases.precision, cases.recall, features.precision, features.recall)
    return f"| {name} | {cases.right + cases.missed} | " + " | ".join("–" if part is None else f"{part:.2f}" for part in shown) + " |"


def write(scores: list[HalfScore]) -> None:
    """Keep the tables in the page of the check, between its two marks."""
    page = PAGE.read_text(encoding="utf-8")
    for score in scores:
        begin, end = f"<!-- measured: {score.half} -->", f"<!-- end: {score.half} -->"
        body = "\n".join((begin, "", *table(score), "", end))
        found = re.search(rf"{re.escape(begin)}.*?{re.escape(end)}", page, flags=re.DOTALL)
        if found is None:
            sys.exit(f"{PAGE} has no place marked {begin} … {end}.")
        page = page[: found.start()] + body + page[found.end() :]
    PAGE.write_text(page, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=(*HALVES, "both"), default="development")
    parser.add_argument("--rule", help="only this one")
    parser.add_argument("--wrong", action="store_true", help="name the cases that are told wrong")
    parser.add_argument("--write", action="store_true", help="keep the tables in docs/reference/check.md")
    args = parser.parse_args()
    if args.wrong and args.half != "development":
        parser.error("--wrong would show the held-out half to whoever writes rules")
    scores = [measure(half, args.rule) for half in (HALVES if args.half == "both" else (args.half,))]
    for score in scores:
        print("\n".join(table(score)))
        unread = ", ".join(f"{rule} in {count} cases" for rule, count in sorted(score.unread.items())) or "none"
        print(f"\nSQL that was not read in full: {unread}\n")
        if args.wrong:
            print("\n".join(score.wrong))
    if args.write:
        write(scores)


if __name__ == "__main__":
    main()
