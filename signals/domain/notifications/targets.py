"""The kinds of destinations: what each needs to be reached, and which parts of it are secret."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    model_validator,
)

from signals.domain.notifications.apprise_urls import (
    MAX_APPRISE_URL,
    checked_apprise_url,
    scheme_of,
    server_of,
)

MAX_URL: Final = 2_048  # guess: the longest webhook addresses in use have some 300
MAX_RECIPIENTS: Final = 20  # guess: more belong into a mailing list
MAX_KEYS: Final = 3  # the new one, the old one, and one forgotten
KEY_BYTES: Final = range(24, 65)  # Standard Webhooks, "Signature scheme"
KEY_PREFIX: Final = "whsec_"
_MAIL: Final = re.compile(r"[^\s@<>,;:\"\\()\[\]\x00-\x1f\x7f]{1,64}@[A-Za-z0-9.-]{1,189}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,253}", re.ASCII)


def _checked_url(text: str) -> str:
    """Accept an absolute http(s) address without credentials in it."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("write an address like https://example.com/hook, in printable ASCII")
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("write an address like https://example.com/hook")
    if parts.username is not None or parts.password is not None:
        raise ValueError("leave user and password out of the address")
    return text


def _secret_url(secret: SecretStr) -> SecretStr:
    _checked_url(secret.get_secret_value())
    return secret


def _apprise_url(secret: SecretStr) -> SecretStr:
    checked_apprise_url(secret.get_secret_value())
    return secret


def _signing_key(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    try:
        size = len(base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not text.startswith(KEY_PREFIX) or size not in KEY_BYTES:
        raise ValueError("a signing key is whsec_ and 24 to 64 bytes in base64; leave it out to get one")
    return secret


def _mail_address(text: str) -> str:
    if not _MAIL.fullmatch(text):
        raise ValueError("write a mail address like team@example.com")
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("write a host name like smtp.example.com")
    return text


def _printable_text(text: str) -> str:
    if not text.isprintable() or not text.isascii():  # ASCII is all that Python's SMTP AUTH takes
        raise ValueError("it has characters that no such name has; use ASCII")
    return text


def _printable(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().isprintable() or not secret.get_secret_value().isascii():
        raise ValueError("it has characters that no such credential has")
    return secret


Url = Annotated[str, Field(max_length=MAX_URL), AfterValidator(_checked_url)]
SecretUrl = Annotated[SecretStr, Field(min_length=1, max_length=MAX_URL), AfterValidator(_secret_url)]
SecretText = Annotated[SecretStr, Field(min_length=1, max_length=512), AfterValidator(_printable)]
AppriseUrl = Annotated[
    SecretStr, Field(min_length=1, max_length=MAX_APPRISE_URL), AfterValidator(_apprise_url)
]
SigningKey = Annotated[SecretStr, Field(max_length=128), AfterValidator(_signing_key)]
MailAddress = Annotated[str, Field(max_length=254), AfterValidator(_mail_address)]
UserName = Annotated[str, Field(min_length=1, max_length=254), AfterValidator(_printable_text)]
HostName = Annotated[str, Field(max_length=253), AfterValidator(_host)]


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WebhookTarget(_Target):
    """Any server of yours: signed JSON by Standard Webhooks, with each of the signing keys."""

    kind: Literal["webhook"]
    url: SecretUrl = Field(description="where to POST; kept secret, since such addresses hold tokens")
    signing_keys: list[SigningKey] = Field(
        default=[], max_length=MAX_KEYS, description="the newest first; left out: one is made and shown once"
    )


class EmailTarget(_Target):
    """A mail server that takes our messages (SMTP)."""

    kind: Literal["email"]
    to: list[MailAddress] = Field(min_length=1, max_length=MAX_RECIPIENTS)
    sender: MailAddress = Field(description="the From address")
    host: HostName
    port: int = Field(default=587, ge=1, le=65_535)
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="`none` sends in the clear: only without a password"
    )
    username: UserName | None = None
    password: SecretText | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "EmailTarget":
        if (self.username is None) != (self.password is None):
            raise ValueError("give username and password together, or neither")
        if self.password is not None and self.security == "none":
            raise ValueError("a password is sent with starttls or tls only")
        return self


class SlackTarget(_Target):
    """A Slack app with the scope chat:write: one message an outage, which is edited."""

    kind: Literal["slack"]
    channel: str = Field(
        pattern=r"^[A-Za-z0-9#_.-]{1,80}$", description="id of the channel, like C0123456789"
    )
    token: SecretText = Field(description="the bot's token, like xoxb-...")
    api_url: Url = "https://slack.com/api"


class SlackWebhookTarget(_Target):
    """An incoming webhook of Slack, or of a server that takes the same: messages cannot be edited."""

    kind: Literal["slack_webhook"]
    url: SecretUrl


class PagerDutyTarget(_Target):
    """A service of PagerDuty with an Events API v2 integration."""

    kind: Literal["pagerduty"]
    routing_key: SecretText
    api_url: Url = Field(
        default="https://events.pagerduty.com/v2/enqueue", description="EU: events.eu.pagerduty.com"
    )


class AppriseTarget(_Target):
    """Any other service, as Apprise writes its address: a message at the opening and one at the end."""

    kind: Literal["apprise"]
    url: AppriseUrl = Field(description="like tgram://BOT_TOKEN/CHAT_ID; kept secret")


Target = Annotated[
    WebhookTarget | EmailTarget | SlackTarget | SlackWebhookTarget | PagerDutyTarget | AppriseTarget,
    Field(discriminator="kind"),
]
TargetKind = Literal["webhook", "email", "slack", "slack_webhook", "pagerduty", "apprise"]

SECRET_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "webhook": frozenset({"url", "signing_keys"}),
    "email": frozenset({"password"}),
    "slack": frozenset({"token"}),
    "slack_webhook": frozenset({"url"}),
    "pagerduty": frozenset({"routing_key"}),
    "apprise": frozenset({"url"}),
}
"""The fields of each kind that are sealed, and never read back."""

SENT_WITH: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "email": ("password", frozenset({"host", "port", "security"})),
    "slack": ("token", frozenset({"api_url"})),
    "pagerduty": ("routing_key", frozenset({"api_url"})),
}
"""The secret of a kind that each message carries, and the fields that say where it goes: another place gets
it only from a person who knows it.
"""

_TARGETS: Final[TypeAdapter[Target]] = TypeAdapter(Target)


def parse_target(fields: Mapping[str, Any]) -> Target:
    """Return the target with these fields.

    Raises:
        pydantic.ValidationError: naming the field at fault.
    """
    return _TARGETS.validate_python(dict(fields))


def split(target: Target) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields that may be shown, and those to be sealed, both as plain JSON values."""
    plain = {name: _revealed(getattr(target, name)) for name in type(target).model_fields}
    secret = SECRET_FIELDS[target.kind]
    return (
        {name: value for name, value in plain.items() if name not in secret},
        {name: value for name, value in plain.items() if name in secret and value},
    )


def host_of(target: Target) -> tuple[str, int] | None:
    """Return the host and port that a message to the target goes to; None: Apprise knows its vendor's."""
    match target:
        case AppriseTarget():
            return server_of(target.url.get_secret_value())
        case EmailTarget():
            return target.host, target.port
        case WebhookTarget() | SlackWebhookTarget():
            url = target.url.get_secret_value()
        case SlackTarget() | PagerDutyTarget():
            url = target.api_url
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def hint(target: Target) -> str:
    """Return how people tell two secrets apart: the host, and the last four characters of the secret."""
    host, _ = host_of(target) or ("", 0)
    match target:
        case AppriseTarget():
            secret = target.url.get_secret_value()
            host = " ".join(part for part in (scheme_of(secret), host) if part)
        case WebhookTarget() | SlackWebhookTarget():
            secret = target.url.get_secret_value()
        case SlackTarget():
            secret = target.token.get_secret_value()
        case PagerDutyTarget():
            secret = target.routing_key.get_secret_value()
        case EmailTarget():
            return host
    return f"{host} …{secret[-4:]}" if len(secret) >= 16 else host


def _revealed(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, list):
        return [_revealed(one) for one in value]
    return value
