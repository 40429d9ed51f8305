"""What the warehouse calls what dbt names: a name without quotes is upper-case in Snowflake and lower-case in PostgreSQL.

Every name in our SQL is quoted, so it has to be the one that the warehouse stores. dbt's manifest says of each relation which of its
parts it quotes (`relation_name`), and of each column whether it is quoted.
"""

from __future__ import annotations

import re

import msgspec

from featurestore.sql.dialects import Folding, folding_of

from .nodes import Node

_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')


def stored_name(name: str, dialect: str, *, quoted: bool | None = False) -> str:
    """The name under which the warehouse keeps a column."""
    return name if quoted else folding_of(dialect).stored(name)


def with_stored_names(node: Node, dialect: str) -> Node:
    """The node with the names under which the warehouse keeps its relation."""
    folding = folding_of(dialect)
    if folding is Folding.KEEPS or not node.relation_name:
        return node
    relation, parts = node.relation, _PART.findall(node.relation_name)
    unquoted = [bool(bare) for _, bare in reversed(parts)]
    names = [relation.identifier, relation.schema, relation.database]
    stored = [
        folding.stored(name) if name is not None and place < len(unquoted) and unquoted[place] else name for place, name in enumerate(names)
    ]
    return msgspec.structs.replace(node, identifier=stored[0], schema=stored[1], database=stored[2])
