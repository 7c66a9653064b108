"""An upgrade in place: the schema of an earlier release becomes this one's, and every row stays."""

from typing import Any, LiteralString

import psycopg
from psycopg import sql

from signals.local.stack import RunningStack
from tests.system.upgrade.capture import digest
from tests.system.upgrade.conftest import Run
from tests.system.upgrade.fixtures import Fixture

COLUMNS: LiteralString = """
SELECT table_schema, table_name, array_agg(column_name::text ORDER BY column_name)
FROM information_schema.columns
WHERE table_schema IN ('public', 'pipeline', 'people') AND table_name !~ '^_?yoyo'
GROUP BY 1, 2
"""
OBJECTS: LiteralString = """
SELECT 'column', format('%s.%s.%s %s %s %s', table_schema, table_name, column_name, data_type, is_nullable,
                        column_default)
FROM information_schema.columns WHERE table_schema IN ('public', 'pipeline', 'people')
UNION ALL
SELECT 'index', indexdef FROM pg_indexes WHERE schemaname IN ('public', 'pipeline', 'people')
UNION ALL
SELECT 'constraint', format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(c.oid))
FROM pg_constraint c JOIN pg_namespace n ON n.oid = connamespace
WHERE nspname IN ('public', 'pipeline', 'people')
"""
Rows = dict[tuple[str, str], tuple[list[str], list[Any]]]


def _rows(database_url: str, tables: Rows | None = None) -> Rows:
    """Return the columns and the rows of every table, or those columns of `tables`, as text."""
    with psycopg.connect(database_url) as connection:
        columns = [((s, t), c) for s, t, c in connection.execute(COLUMNS).fetchall()]
        if tables is not None:
            columns = [(name, columns) for name, (columns, _) in tables.items()]
        found: Rows = {}
        for name, names in columns:
            listed = sql.SQL(", ").join(
                sql.SQL("{}::text").format(sql.Identifier(column)) for column in names
            )
            query = sql.SQL("SELECT {} FROM {}").format(listed, sql.Identifier(*name))
            found[name] = names, sorted(connection.execute(query).fetchall(), key=repr)
        return found


def _objects(database_url: str) -> list[Any]:
    with psycopg.connect(database_url) as connection:
        return sorted(connection.execute(OBJECTS).fetchall())


def test_fixture_is_as_the_release_wrote_it(old: Fixture) -> None:
    written = old.manifest["files"]
    assert {name: digest(old.folder / name) for name in written} == written


def test_migrations_keep_every_row(old: Fixture, database_url: str, run: Run) -> None:
    before = _rows(database_url)
    counts = {f"{schema}.{table}": len(rows) for (schema, table), (_, rows) in before.items()}
    assert counts == {n: count for n, count in old.manifest["rows"].items() if "yoyo" not in n}
    assert run("migrate").exit_code == 0
    assert _rows(database_url, before) == before


def test_upgraded_schema_equals_that_of_a_new_database(
    servers: RunningStack, database_url: str, template_database: str, run: Run
) -> None:
    assert run("migrate").exit_code == 0
    base = servers.environment["DATABASE_URL"].rpartition("/")[0]
    assert _objects(database_url) == _objects(f"{base}/{template_database}")


def test_second_migration_changes_nothing(run: Run) -> None:
    run("migrate")
    assert run("migrate").stdout == "The schema is up to date.\n"
