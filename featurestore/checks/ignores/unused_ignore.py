"""A waiver waives nothing.

What it was about has been mended, or has moved: a waiver belongs on the line of the finding, on a line of its own above it, or before the
first line of SQL for the whole file. One that is left behind would hide the next finding there. It is not reported of a rule that is
switched off. This rule itself cannot be waived.
"""

from __future__ import annotations

from featurestore.checks.finding import Rule, Severity

RULE = Rule("unused_ignore", "A waiver waives nothing", Severity.WARNING)
WHY = "Nothing is found there any more that it waives, so it could only hide what is found next."
MEND = "Remove it, or put it on the line of the finding, or above that line."
