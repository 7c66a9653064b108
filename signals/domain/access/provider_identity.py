"""A person as an OpenID Connect provider names them, and which of them come in."""

from dataclasses import dataclass
from typing import Final

from signals.domain.access.people import MAX_NAME, Role, is_email

FLOW_LASTS_S: Final = 600  # seconds from our page to the provider and back; guess: a second factor is slow


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderIdentity:
    """The checked claims of an ID token: issuer and subject stay the same, the address may change."""

    issuer: str
    subject: str
    email: str
    is_verified: bool
    name: str

    @property
    def shown_name(self) -> str:
        """The name for pages, never empty."""
        name = "".join(one if one.isprintable() else " " for one in self.name).strip()[:MAX_NAME].strip()
        return name or self.email.partition("@")[0][:MAX_NAME]


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomers:
    """People of the provider whom no admin has added: where they join, with a role, or None for nowhere."""

    domains: tuple[str, ...] = ()
    org_id: str = ""
    role: Role | None = None


def domain_fault(identity: ProviderIdentity, domains: tuple[str, ...]) -> str | None:
    """Say why the provider's word about the address is not enough, None when it is."""
    if not is_email(identity.email):
        return "the provider gave no mail address: let it send the claim email"
    if not identity.is_verified:
        return f"the provider has not verified the address {identity.email}"
    domain = identity.email.rpartition("@")[2].lower()
    if domains and domain not in domains:
        return f"addresses of {domain} may not sign in here"
    return None


def parse_domains(text: str) -> tuple[str, ...]:
    """Read domains with commas between them. Raises ValueError for what is none."""
    domains = tuple(one.strip().lower().removeprefix("@") for one in text.split(",") if one.strip())
    for domain in domains:
        if not is_email(f"a@{domain}"):
            raise ValueError(f"{domain} is no domain like example.com")
    return domains
