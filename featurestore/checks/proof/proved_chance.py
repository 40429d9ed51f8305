"""A value became another one when the models were built again from the very same source rows.

It depends on the clock, on chance, or on the order in which rows happen to come, so training cannot be repeated, and serving has
another value. Found by `fsdbt check --prove`. Order what is ranked or taken first by something unique, and compare with
columns, not with the clock.
"""

from featurestore.checks.finding import Rule, Severity

RULE = Rule("proved_chance", "A value changes although nothing did.", Severity.ERROR)
