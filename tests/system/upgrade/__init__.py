"""Upgrades in place: each folder `fixture-SCHEMA` is a stack as an earlier release left it.

A release that changes what is stored (a migration, the index, a topic, a state folder) adds the fixture of
the release before it, made from that release's code:

    python -m tests.system.upgrade.make_fixture tests/system/upgrade/fixture-0010
    python -m tests.system.upgrade.names tests/system/upgrade/fixture-0010/names.json

Every test runs once for each fixture. The keys in the fixtures are throw-away keys of stacks that are gone.
"""
