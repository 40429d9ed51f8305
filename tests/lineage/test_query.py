"""What a column is said to be made of is right: no column that is not named can change it, in the database itself."""

from __future__ import annotations

import random
from collections import Counter

import duckdb
import pytest
import sqlglot

from featurestore.lineage.query import Query
from featurestore.lineage.reach import reached
from featurestore.lineage.tables import Table

TABLES = {
    "orders": {"id": "integer", "customer_id": "integer", "amount": "integer", "status": "varchar", "ordered_at": "timestamp"},
    "customers": {"customer_id": "integer", "country": "varchar", "segment": "varchar", "address": "struct(city varchar, zip varchar)"},
    "visits": {"customer_id": "integer", "pages": "integer[]", "seen_at": "timestamp"},
}
KNOWN = {Table(name): tuple(columns) for name, columns in TABLES.items()}

# Each query, with what the values of each column are made of, and what decides which rows there are.
QUERIES: dict[str, tuple[str, dict[str, tuple[set[str], set[str]]]]] = {
    "plain": ("select id, amount * 2 as twice from orders", {"id": ({"orders.id"}, set()), "twice": ({"orders.amount"}, set())}),
    "a star": ("select * from customers", {"country": ({"customers.country"}, set())}),
    "a filter": ("select amount from orders where status = 'paid'", {"amount": ({"orders.amount"}, {"orders.status"})}),
    "common table expressions": (
        "with paid as (select * from orders where status = 'paid'), "
        "sums as (select customer_id, sum(amount) as total from paid group by 1) select customer_id as who, total from sums",
        {"who": ({"orders.customer_id"}, {"orders.status"}), "total": ({"orders.amount"}, {"orders.status", "orders.customer_id"})},
    ),
    "a star with changes": (
        "select * exclude (id) replace (amount + 1 as amount) from orders",
        {"amount": ({"orders.amount"}, set()), "status": ({"orders.status"}, set())},
    ),
    "a renamed star": ("select c.* rename (country as land) from customers as c", {"land": ({"customers.country"}, set())}),
    "a join by name": (
        "select * from orders join customers using (customer_id)",
        {
            "customer_id": ({"orders.customer_id", "customers.customer_id"}, set()),
            "country": ({"customers.country"}, {"orders.customer_id", "customers.customer_id"}),
        },
    ),
    "a left join": (
        "select o.amount, c.country from orders as o left join customers as c on o.customer_id = c.customer_id and c.segment = 'a'",
        {
            "amount": ({"orders.amount"}, {"orders.customer_id", "customers.customer_id", "customers.segment"}),
            "country": ({"customers.country"}, {"orders.customer_id", "customers.customer_id", "customers.segment"}),
        },
    ),
    "a union, by place": (
        "select id as a, amount as b from orders union all select customer_id, len(pages) from visits",
        {"a": ({"orders.id", "visits.customer_id"}, set()), "b": ({"orders.amount", "visits.pages"}, set())},
    ),
    "a window": (
        "select id, sum(amount) over (partition by customer_id order by ordered_at, id) as so_far from orders",
        {"so_far": ({"orders.amount", "orders.customer_id", "orders.ordered_at", "orders.id"}, set())},
    ),
    "a named window": (
        "select sum(amount) over w as so_far from orders window w as (partition by customer_id order by ordered_at, id)",
        {"so_far": ({"orders.amount", "orders.customer_id", "orders.ordered_at", "orders.id"}, set())},
    ),
    "an alias used beside": ("select amount * 2 as twice, twice + 1 as more from orders", {"more": ({"orders.amount"}, set())}),
    "an alias of the same name as a column": (
        "select amount + id as amount, amount as again from orders",
        {"amount": ({"orders.amount", "orders.id"}, set()), "again": ({"orders.amount"}, set())},
    ),
    "a filter over windows": (
        "select id, amount from orders qualify row_number() over (partition by customer_id order by ordered_at desc, id) = 1",
        {"amount": ({"orders.amount"}, {"orders.customer_id", "orders.ordered_at", "orders.id"})},
    ),
    "a subquery for a value": (
        "select c.country, (select max(o.amount) from orders as o where o.customer_id = c.customer_id) as most from customers as c",
        {"most": ({"orders.amount", "orders.customer_id", "customers.customer_id"}, set()), "country": ({"customers.country"}, set())},
    ),
    "a filter by a subquery": (
        "select country from customers where customer_id in (select customer_id from orders where amount > 5)",
        {"country": ({"customers.country"}, {"customers.customer_id", "orders.customer_id", "orders.amount"})},
    ),
    "whether there is one": (
        "select country from customers as c where exists (select 1 from orders as o where o.customer_id = c.customer_id)",
        {"country": ({"customers.country"}, {"customers.customer_id", "orders.customer_id"})},
    ),
    "an unnested list": (
        "select v.customer_id, p.page from visits as v, unnest(v.pages) as p(page)",
        {"page": ({"visits.pages"}, set()), "customer_id": ({"visits.customer_id"}, {"visits.pages"})},
    ),
    "numbers from nowhere": (
        "select c.country, n.number + c.customer_id as sum from customers as c cross join range(0, 3) as n(number)",
        {"sum": ({"customers.customer_id"}, set())},
    ),
    "a nested field": ("select c.address.city as city, address.zip as zip from customers as c", {"city": ({"customers.address"}, set())}),
    "distinct": ("select distinct country from customers", {"country": ({"customers.country"}, set())}),
    "a limit": (
        "select amount from orders order by ordered_at, id limit 2",
        {"amount": ({"orders.amount"}, {"orders.ordered_at", "orders.id"})},
    ),
    "recursion": (
        "with recursive steps as (select id, amount as n from orders union all select id, n - 1 from steps where n > 0) "
        "select id, n from steps",
        {"id": ({"orders.id"}, {"orders.amount"}), "n": ({"orders.amount"}, set())},
    ),
    "a lateral query": (
        "select c.country, latest.amount from customers as c, lateral (select amount from orders as o where o.customer_id = c.customer_id "
        "order by ordered_at, id limit 1) as latest",
        {
            "amount": ({"orders.amount"}, {"orders.customer_id", "orders.ordered_at", "orders.id", "customers.customer_id"}),
            "country": ({"customers.country"}, {"orders.customer_id", "orders.ordered_at", "orders.id", "customers.customer_id"}),
        },
    ),
    "grouped by all": ("select country, count(*) as n from customers group by all", {"n": (set(), {"customers.country"})}),
    "the first of each kind": (
        "select distinct on (customer_id) customer_id, amount from orders order by customer_id, ordered_at desc, id",
        {"amount": ({"orders.amount"}, {"orders.customer_id", "orders.ordered_at", "orders.id"})},
    ),
    "a count of what is distinct": (
        "select count(*) as n from (select distinct customer_id, status from orders) as d",
        {"n": (set(), {"orders.customer_id", "orders.status"})},
    ),
    "a union that leaves out what is alike": (
        "select count(*) as n from (select status from orders union select country from customers) as u",
        {"n": (set(), {"orders.status", "customers.country"})},
    ),
    "all but": (
        "select customer_id from customers except select customer_id from orders",
        {"customer_id": ({"customers.customer_id", "orders.customer_id"}, set())},
    ),
    "a natural join": (
        "select country from orders natural join customers",
        {"country": ({"customers.country"}, {"orders.customer_id", "customers.customer_id"})},
    ),
    "the newest row by then": (
        "select o.id, v.pages from orders as o asof join visits as v on o.customer_id = v.customer_id and o.ordered_at >= v.seen_at",
        {"pages": ({"visits.pages"}, {"orders.customer_id", "visits.customer_id", "orders.ordered_at", "visits.seen_at"})},
    ),
    "having": (
        "select country from customers group by country having count(segment) > 1",
        {"country": ({"customers.country"}, {"customers.segment"})},
    ),
}


def lineage(sql: str, dialect: str = "duckdb") -> dict[str, tuple[set[str], set[str]]]:
    query = Query(sqlglot.parse_one(sql, dialect=dialect), KNOWN)
    found = {}
    for column in query.root.projections:
        of = reached([column])
        assert not of.unknown
        found[column.name] = tuple({f"{each.table}.{each.name}" for each in part} for part in (of.values, of.rows))
    return found


@pytest.mark.parametrize("name", QUERIES)
def test_a_column_is_made_of(name: str) -> None:
    sql, expected = QUERIES[name]
    found = lineage(sql)
    assert {column: found[column] for column in expected} == expected


@pytest.mark.parametrize("name", QUERIES)
def test_what_is_not_named_changes_nothing(name: str) -> None:
    """The database is asked: other values in any column that is not named leave the column as it was."""
    sql, _ = QUERIES[name]
    found = lineage(sql)
    with duckdb.connect() as connection:
        for table in TABLES:
            fill(connection, table, None)
        before = answers(connection, sql)
        for table, columns in TABLES.items():
            for changed in columns:
                fill(connection, table, changed)
                after = answers(connection, sql)
                for column, (values, rows) in found.items():
                    if f"{table}.{changed}" not in values | rows:
                        assert after[column] == before[column], (column, changed)
            fill(connection, table, None)


def fill(connection: duckdb.DuckDBPyConnection, table: str, changed: str | None) -> None:
    """Random rows, the same each time but for one column."""
    columns = TABLES[table]
    connection.execute(f"create or replace table {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    drawn = [random_column(kind, f"{table}.{name} {name == changed}") for name, kind in columns.items()]
    connection.executemany(f"insert into {table} values ({', '.join('?' * len(columns))})", list(zip(*drawn, strict=True)))


def answers(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Counter[str]]:
    """What a query answers, column by column."""
    relation = connection.sql(sql)
    rows = relation.fetchall()
    return {name: Counter(repr(row[at]) for row in rows) for at, name in enumerate(relation.columns)}


def random_column(kind: str, seed: str) -> list[object]:
    of = random.Random(seed)
    make = {
        "integer": lambda: of.randint(0, 6),
        "varchar": lambda: of.choice(["paid", "open", "a", "b"]),
        "timestamp": lambda: f"2024-01-0{of.randint(1, 9)}",
        "integer[]": lambda: [of.randint(0, 6) for _ in range(of.randint(0, 3))],
        "struct(city varchar, zip varchar)": lambda: {"city": of.choice("xyz"), "zip": of.choice("uvw")},
    }[kind]
    return [make() for _ in range(8)]


class TestOtherDialects:
    def test_snowflake_flattens_and_reads_paths(self) -> None:
        query = Query(
            sqlglot.parse_one("select f.value:name::string as n from t, lateral flatten(input => t.items) f", dialect="snowflake")
        )
        (column,) = query.root.projections
        assert {each.name for each in reached([column]).values} == {"items"}

    def test_bigquery_takes_a_field_of_what_it_unnests(self) -> None:
        sql = "select item.sku, b.customer_id from baskets as b cross join unnest(b.items) as item"
        found = lineage(sql, "bigquery")
        assert found["sku"] == ({"baskets.items"}, set())

    def test_bigquery_unnests_and_leaves_out(self) -> None:
        sql = "select * except (b) from (select a, b, u from `p.d.t`, unnest(us) as u)"
        query = Query(sqlglot.parse_one(sql, dialect="bigquery"))
        assert [column.name for column in query.root.projections] == ["a", "u"]

    def test_spark_explodes(self) -> None:
        query = Query(sqlglot.parse_one("select id, e from t lateral view explode(es) x as e", dialect="spark"))
        assert {each.name for each in reached([query.root.projections[1]]).values} == {"es"}

    @pytest.mark.parametrize(
        ("sql", "dialect", "rows"),
        [
            ("select a from t prewhere b = 1", "clickhouse", {"b"}),
            ("select u.b from t asof join u match_condition (t.ts >= u.seen) on t.k = u.k", "snowflake", {"ts", "seen", "k"}),
            ("select a from t start with p is null connect by prior id = p", "snowflake", {"p", "id"}),
        ],
    )
    def test_clauses_of_their_own_decide_rows(self, sql: str, dialect: str, rows: set[str]) -> None:
        query = Query(sqlglot.parse_one(sql, dialect=dialect))
        assert {each.name for each in reached(query.root.projections).rows} == rows

    def test_clickhouse_joins_lists(self) -> None:
        query = Query(sqlglot.parse_one("select k, x from t array join b as x", dialect="clickhouse"))
        of = reached([query.root.projections[1]])
        assert ({each.name for each in of.values}, of.unknown) == ({"b"}, ())


class TestWhatCannotBeKnown:
    def test_a_natural_join_of_unknown_tables_is_said(self) -> None:
        of = reached(Query(sqlglot.parse_one("select t.a from t natural join u")).root.projections)
        assert "natural join" in of.unknown[0].reason

    def test_a_star_over_an_unknown_table_passes_any_column_on(self) -> None:
        query = Query(sqlglot.parse_one("with a as (select *, 1 as n from somewhere) select x, n from a"))
        x, n = (reached([column]) for column in query.root.projections)
        assert ({each.name for each in x.values}, set(n.values)) == ({"x"}, set())
        assert query.root.open_tables == ()

    def test_a_name_that_two_unknown_tables_may_have_is_said_to_be_uncertain(self) -> None:
        query = Query(sqlglot.parse_one("select amount from a join b on a.id = b.id"))
        of = reached(query.root.projections)
        assert {str(each.table) for each in of.values} == {"a", "b"}
        assert "may be a column of any of a, b" in of.unknown[0].reason

    def test_a_name_that_nothing_has_is_said(self) -> None:
        query = Query(sqlglot.parse_one("select wrong from orders"), KNOWN)
        assert "wrong is not a column" in reached(query.root.projections).unknown[0].reason

    def test_a_pivot_is_not_guessed(self) -> None:
        query = Query(sqlglot.parse_one("select * from orders pivot (sum(amount) for status in ('a', 'b'))", dialect="snowflake"), KNOWN)
        assert query.root.projections == ()
        assert "not known" in query.root.open_tables[0].reason
