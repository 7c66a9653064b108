"""Addresses as Apprise writes them: which services are offered, and which of them name a server of their own.

Source: https://appriseit.com/services/. Offered are services that are reached over HTTP alone. Others open
sockets of their own, run programs or write files. Slack, PagerDuty and mail have kinds of their own.
"""

from typing import Final
from urllib.parse import urlsplit

MAX_APPRISE_URL: Final = 2_048  # guess: the longest in its documentation have some 300

UNFORMATTED: Final = frozenset({"form", "forms", "json", "jsons", "xml", "xmls"})
"""Services that are programs: they get the text as it is."""
HOSTED: Final = UNFORMATTED | frozenset(
    (
        *("apprise", "apprises", "bark", "barks", "goalert", "goalerts", "gotify", "gotifys", "matrix"),
        *("matrixs", "mmost", "mmosts", "nctalk", "nctalks", "ntfy", "ntfys", "rocket", "rockets", "signal"),
        *("signals", "synology", "synologys", "workflow", "workflows"),
    )
)
"""Services on servers of people's own: the address names the host."""
SCHEMES: Final = HOSTED | frozenset(
    (
        *("betterstack", "dingtalk", "discord", "feishu", "flock", "gchat", "guilded", "ilert", "incidentio"),
        *("lark", "line", "msgbird", "opsgenie", "pagertree", "pbul", "pover", "prowl", "sendgrid", "signl4"),
        *("sinch", "sns", "spike", "splunk", "squadcast", "tgram", "threema", "twilio", "twist", "victorops"),
        *("vonage", "webex", "wecombot", "wxteams", "zulip"),
    )
)
"""Services that a destination may use."""


def checked_apprise_url(text: str) -> str:
    """Accept an address of one of the services.

    Raises:
        ValueError: saying what to write; it repeats nothing of the address but the service.
    """
    scheme, separator, rest = text.partition("://")
    if not text.isascii() or not text.isprintable() or " " in text or not separator or not rest:
        raise ValueError("write an address like tgram://BOT_TOKEN/CHAT_ID, in printable ASCII")
    if scheme.lower() not in SCHEMES:
        shown = scheme.lower() if scheme.isalnum() and len(scheme) <= 16 else "this"
        raise ValueError(f"{shown} is no service that is offered; there are: {', '.join(sorted(SCHEMES))}")
    try:
        urlsplit(text)
    except ValueError:
        raise ValueError("its part after :// cannot be read; compare it with the service's page") from None
    return text


def scheme_of(url: str) -> str:
    """Return the service of a checked address."""
    return url.partition("://")[0].lower()


def server_of(url: str) -> tuple[str, int] | None:
    """Return host and port of the server that a checked address names; None: its service is the vendor's.

    `ntfy://topic` names no server: one part alone is a topic at ntfy.sh.
    """
    scheme = scheme_of(url)
    if scheme not in HOSTED:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if scheme.startswith("ntfy") and not parts.path.strip("/"):
        return None
    return host, port or (443 if scheme.endswith("s") else 80)
