"""Rules on SQL: each asks of one model, in the light of one feature view, whether a row can see what happened after it."""
