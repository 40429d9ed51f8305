"""The commands of `fsdbt`, in the order in which a newcomer meets them."""

from __future__ import annotations

import typer

from .audit import audit
from .backfill import backfill
from .build import build
from .check import check
from .config import config
from .get import get
from .init import init
from .keys import keys
from .lineage import lineage
from .list import list_command
from .materialize import materialize
from .plan import plan
from .profile import profile
from .push import push
from .serve import serve
from .show import show
from .sql import sql
from .status import status
from .train import train

app = typer.Typer(
    name="fsdbt",
    help="The feature store for dbt projects: a feature is a dbt model tagged with its entity and timestamp.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for name, command in (
    ("init", init),
    ("list", list_command),
    ("show", show),
    ("check", check),
    ("lineage", lineage),
    ("sql", sql),
    ("train", train),
    ("plan", plan),
    ("materialize", materialize),
    ("build", build),
    ("backfill", backfill),
    ("get", get),
    ("push", push),
    ("serve", serve),
    ("status", status),
    ("profile", profile),
    ("audit", audit),
    ("config", config),
):
    app.command(name)(command)
app.add_typer(keys)
