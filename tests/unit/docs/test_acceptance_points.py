"""Each complaint in the table about clients names tests that exist."""

import re

from tests.unit.docs.markdown import ROOT, table


def test_every_complaint_is_held_by_a_test() -> None:
    rows = table((ROOT / "tests/system/clients/README.md").read_text(), "complaint")
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))
    assert len(rows) == 20
    for complaint, _, tests in rows:
        named = re.findall(r"\btest_\w+", tests)
        assert named, complaint
        assert set(named) <= known, complaint
