"""A value of a row before a cut became another one when source rows later than the cut changed and the models were built again.

Nothing that happens later can be known at a row's own time: whatever it changes, training sees and serving cannot. Found by
`fsdbt check --prove`, by experiment, and shown by the row. Limit what the feature is made of to rows up to its event timestamp, or say
with `available_after` how much later a row is complete.
"""

from featurestore.checks.finding import Rule, Severity

RULE = Rule("proved_leak", "A value changes when rows change that are later than it.", Severity.ERROR)
