"""Lines to paste into other products' clients: for servers, and for pages with a key of scope public."""

from typing import Final
from urllib.parse import urlsplit

from signals.domain.access.api_keys import scope_of
from signals.domain.access.scopes import Scope
from signals.errors import SettingsError

# A heading, then inset what is pasted and nothing else: the console copies it.
SERVERS: Final = """\
Sentry, any SDK: its DSN
  {scheme}://{key}@{host}/v1/events/sentry/1

OpenTelemetry, logs and traces
  OTEL_EXPORTER_OTLP_ENDPOINT={base}/v1/events/otlp
  OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20{key}
  OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
  OTEL_METRICS_EXPORTER=none

Segment, Python
  analytics.write_key = "{key}"
  analytics.host = "{base}/v1/events/segment"

Segment, Node
  new Analytics({{ writeKey: "{key}", host: "{base}", path: "/v1/events/segment/v1/batch" }})

Deploys, in CI
  signals deploy --release VERSION --env production

Deploys, by curl
  curl -sS "{base}/v1/events/deploys" -H "Authorization: Bearer {key}" -d '{{"release": "VERSION"}}'

Deploys, by a webhook of GitHub: its URL; its secret is the key
  {base}/v1/events/deploys/github?key={key}

Deploys, by a webhook of GitLab: its URL; its secret token is the key
  {base}/v1/events/deploys/gitlab

Deploys, by a webhook of Vercel: its URL (its secret: signals projects doors PROJECT --vercel-secret)
  {base}/v1/events/deploys/vercel?key={key}

Web pages need a key of scope public: signals keys create --project PROJECT --scope public"""

PAGES: Final = """\
Sentry, in web pages and apps: its DSN
  {scheme}://{key}@{host}/v1/events/sentry/1

Sentry, against ad blockers: its tunnel
  {base}/v1/events/sentry/tunnel

Segment, in web pages
  AnalyticsBrowser.load(
    {{ writeKey: "{key}",
      cdnSettings: {{ integrations: {{ "Segment.io": {{ apiKey: "{key}" }} }} }} }},
    {{ integrations: {{
      "Segment.io": {{ apiHost: "{host}/v1/events/segment/v1", protocol: "{scheme}" }} }} }})

Without an SDK, first in the page's head
{snippet}"""

SNIPPET: Final = """\
<script>
(function (url, release) {
  var left = 20; // errors of one visit: a loop must not use the day's quota up
  function plain(text) { return String(text).replace(/\\?[^\\s:)]*/g, "").slice(0, 1000); }
  function send(error, message) {
    if (left-- < 1) return;
    var body = JSON.stringify([{
      event_type: "error", message: String(message).slice(0, 1000), occurred_at: new Date().toISOString(),
      attributes: { error_code: error && error.name, route: location.pathname, release: release },
      payload: error && error.stack ? { stack: plain(error.stack) } : {}
    }]);
    if (navigator.sendBeacon && navigator.sendBeacon(url, body)) return;
    fetch(url, { method: "POST", body: body, keepalive: true }).catch(function () {});
  }
  addEventListener("error", function (e) { if (e.message) send(e.error, e.message); });
  addEventListener("unhandledrejection", function (e) {
    send(e.reason, (e.reason && e.reason.message) || e.reason);
  });
})("BASE/v1/events/batch?key=KEY", "RELEASE");
</script>"""
"""A script for pages without an SDK; BASE, KEY and RELEASE are placeholders."""

DASH: Final = (
    "\nThis key holds a `-`, which JavaScript refuses in a DSN: make a new one with `signals keys create`."
)


def lines(key: str, url: str) -> str:
    """Return the text for a key and an address.

    Raises:
        SettingsError: when one of them cannot be used.
    """
    scope = scope_of(key)
    if scope not in (Scope.INGEST, Scope.PUBLIC):
        raise SettingsError("this is no key of scope ingest or public: make one with `signals keys create`")
    text = filled(PAGES if scope is Scope.PUBLIC else SERVERS, key, url)
    return text + DASH if "-" in key else text


def filled(text: str, key: str, url: str) -> str:
    """Return `SERVERS` or `PAGES` for an address and a key, or for a word that stands for the key.

    Raises:
        SettingsError: when the address cannot be used.
    """
    parts = urlsplit(url.rstrip("/"))
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SettingsError("the address of ingest-api must begin with http:// or https://")
    host = f"{parts.netloc}{parts.path}"
    base = f"{parts.scheme}://{host}"
    snippet = SNIPPET.replace("BASE", base).replace("KEY", key)
    return text.format(scheme=parts.scheme, host=host, key=key, base=base, snippet=snippet)
