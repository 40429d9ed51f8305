"""How every feature view stands: in the warehouse, in the online store, and against what was promised of it."""
