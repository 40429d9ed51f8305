"""Newest values, warehouse to online store: decide what to publish (`plan`), remember what was (`watermarks`), do it (`run`)."""
