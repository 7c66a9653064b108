"""Derived ids stay the same through all releases: a changed one would count a repeated event again."""

from datetime import UTC, datetime
from hashlib import blake2b
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from shared_types import Tenancy
from signals.domain.events.foreign import Receipt, derived_id, person_hash

NAMESPACE = UUID("6f0c8e0e-3f0b-5c63-9b62-0d6a2a3c7d41")
RECEIVED_AT = datetime(2026, 3, 4, tzinfo=UTC)
NAMES = st.text(max_size=12)


@given(org_id=NAMES, project_id=NAMES, parts=st.lists(NAMES | st.binary(max_size=12), max_size=4))
def test_derived_id_is_the_version_5_uuid_of_tenant_and_parts(
    org_id: str, project_id: str, parts: list[str | bytes]
) -> None:
    receipt = Receipt(tenancy=Tenancy(org_id=org_id, project_id=project_id), received_at=RECEIVED_AT)
    digest = blake2b(digest_size=16)
    for part in (org_id, project_id, *parts):
        data = part.encode("utf-8", "replace") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    assert derived_id(receipt, *parts) == str(uuid5(NAMESPACE, digest.hexdigest()))


@given(org_id=NAMES, project_id=NAMES, identifier=st.text(min_size=1, max_size=12) | st.integers())
def test_person_hash_is_keyed_by_the_project(org_id: str, project_id: str, identifier: str | int) -> None:
    receipt = Receipt(tenancy=Tenancy(org_id=org_id, project_id=project_id), received_at=RECEIVED_AT)
    key = blake2b(f"{org_id}|{project_id}".encode()).digest()
    expected = blake2b(str(identifier).encode("utf-8", "replace"), key=key, digest_size=8).hexdigest()
    assert person_hash(receipt, identifier) == expected
