"""What PostgreSQL's catalogue says of columns and indexes, and the value types they become."""

from __future__ import annotations

from featurestore.errors import UnsupportedTypeError
from featurestore.registry.definitions import Column
from featurestore.registry.value_types import UNRESOLVED
from featurestore.sql.types import parse_data_type

COLUMNS = """
select
    wanted.place,
    attribute.attname::text,
    case
        when of_type.typtype = 'e' then 'text'
        when item.typtype = 'e' then 'text[]'
        when of_type.typtype = 'd' then format_type(of_type.typbasetype, of_type.typtypmod)
        else format_type(attribute.atttypid, attribute.atttypmod)
    end
from jsonb_array_elements_text($1::jsonb) with ordinality as wanted (name, place)
inner join pg_attribute as attribute on attribute.attrelid = to_regclass(wanted.name)
inner join pg_type as of_type on of_type.oid = attribute.atttypid
left join pg_type as item on item.oid = of_type.typelem and of_type.typcategory = 'A'
where attribute.attnum > 0 and not attribute.attisdropped
order by wanted.place, attribute.attnum
"""
"""The columns of relations whose quoted names are given as a list in JSON: place in the list from 1, name, type. What an enumeration
holds is text to whoever reads it, and a domain is its base type."""

INDEXES = """
select indexed.indexrelid::bigint, attribute.attname::text
from pg_index as indexed
inner join pg_class as class on class.oid = indexed.indexrelid
inner join pg_am as method on method.oid = class.relam and method.amname = 'btree'
cross join unnest(indexed.indkey::int2[]) with ordinality as part (number, place)
left join pg_attribute as attribute
    on attribute.attrelid = indexed.indrelid and attribute.attnum = part.number and part.number > 0
    and attribute.atttypid not in ('bpchar'::regtype, 'uuid'::regtype, 'name'::regtype)
where indexed.indrelid = to_regclass($1) and indexed.indisvalid and indexed.indpred is null and part.place <= indexed.indnkeyatts
order by indexed.indexrelid, part.place
"""
"""The columns of each index that finds any row by comparing, in order; null for one that an expression, or its text, is compared of."""


def column_of(name: str, data_type: str) -> Column:
    """A column; one of a type that no feature can have is `UNRESOLVED`."""
    try:
        return Column(name, parse_data_type(data_type, "postgres"))
    except UnsupportedTypeError:
        return Column(name, UNRESOLVED)
