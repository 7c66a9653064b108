"""Messages through Apprise: real receivers, a child process that knows nothing and reaches nothing else."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Final

import psutil
import pytest

from signals.clients.outbound.apprise_process import CHILD, OutboundApprise
from signals.domain.notifications.addresses import AllowList
from signals.domain.notifications.delivery import DeliveryResult
from signals.domain.notifications.targets import AppriseTarget, parse_target
from tests.integration.notifications.conftest import LOOPBACK, World
from tests.integration.notifications.test_senders import message
from tests.support.receivers import HttpReceiver, Mode, http_receiver
from tests.support.waiting import until

TIMEOUT_S: Final = 60.0  # of a service that answers at once
HELD_S: Final = 10.0  # of one whose answer never ends; its request must have come by then
HOLDING: Final = ("drip", "flood")
SECRET: Final = "TOKEN-OF-A-SERVICE"
TRIES: Final = """
import os, socket, subprocess, sys
from signals.clients.outbound.apprise_child import AddressGuard, Refused, install
from signals.domain.notifications.addresses import AllowList

def datagram(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.sendto(b"x", (host, 514))

def connect(family, address):
    with socket.socket(family) as opened:
        opened.connect(address)

def listen():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))

def write():
    os.close(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY))

TRIES = {
    "reads a file": lambda: open("/etc/passwd").close(),
    "reads a folder beside Python's": lambda: open(f"{sys.prefix}-other/secret").close(),
    "reads its own environment": lambda: open("/proc/self/environ").close(),
    "writes a file": write,
    "starts a program": lambda: subprocess.run(["/bin/true"]),
    "runs a shell": lambda: os.system("true"),
    "forks": lambda: os.fork() or os._exit(0),
    "connects to a name": lambda: connect(socket.AF_INET, ("localhost", 9)),
    "connects inside": lambda: connect(socket.AF_INET, ("10.0.0.1", 9)),
    "connects to metadata": lambda: connect(socket.AF_INET, ("169.254.169.254", 80)),
    "connects to itself": lambda: connect(socket.AF_INET6, ("::ffff:127.0.0.1", 9)),
    "opens a file as a socket": lambda: connect(socket.AF_UNIX, "/run/x"),
    "sends a datagram": lambda: datagram("127.0.0.1"),
    "looks up itself": lambda: socket.getaddrinfo("localhost", 80),
    "looks up a number": lambda: socket.getaddrinfo("0x7f000001", 80),
    "listens": listen,
}
install(AddressGuard(AllowList()))
for name, attempt in TRIES.items():
    try:
        attempt()
    except Refused:
        continue
    except BaseException as error:
        print(name, repr(error))
    else:
        print(name)
"""


@pytest.fixture(autouse=True)
def slow_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a busy machine time to import Apprise; the deadline of the send itself stays."""
    monkeypatch.setattr("signals.clients.outbound.apprise_process.START_S", 120.0)


def send(
    url: str, *, allowed: AllowList = LOOPBACK, timeout_s: float = TIMEOUT_S, status: str = "open"
) -> DeliveryResult:
    target = parse_target({"kind": "apprise", "url": url})
    assert isinstance(target, AppriseTarget)
    return OutboundApprise(allowed, timeout_s=timeout_s).send(target, message(status=status))


def test_service_gets_title_and_text(receiver: HttpReceiver) -> None:
    result = send(f"json://127.0.0.1:{receiver.port}/{SECRET}")
    assert (result.state, result.error) == ("told", None)
    [got] = receiver.requests
    assert got.path == f"/{SECRET}"
    assert got.json["title"] == "[error] shop prod: TIMEOUT at /checkout"
    assert got.json["message"].startswith("open since ")
    assert got.json["type"] == "failure"


def test_self_hosted_services_are_reached(receiver: HttpReceiver) -> None:
    place = f"127.0.0.1:{receiver.port}"
    for url in (f"ntfy://{place}/topic", f"mmost://{place}/{'3' * 32}", f"gotify://{place}/{'t' * 15}"):
        assert send(url).state == "told"
    bodies = "".join(str(got.json) for got in receiver.requests)
    assert "TIMEOUT at /checkout" in bodies
    assert "[error]" not in bodies  # parted, so that no service takes it for a link


@pytest.mark.parametrize(
    ("mode", "state", "status"),
    [
        ("error", "retry", 500),
        ("busy", "retry", 429),
        ("gone", "refused", 410),
        ("redirect", "refused", 302),
        ("reset", "retry", None),
        ("drip", "retry", None),
        ("flood", "retry", None),
    ],
)
def test_failure_of_a_service_has_its_result(
    receiver: HttpReceiver, mode: Mode, state: str, status: int | None
) -> None:
    receiver.mode = mode
    timeout_s = HELD_S if mode in HOLDING else TIMEOUT_S
    result = send(f"json://127.0.0.1:{receiver.port}/{SECRET}", timeout_s=timeout_s)
    assert (result.state, result.status) == (state, status)
    assert result.error is not None
    assert SECRET not in result.error
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("host", ["localhost", "0x7f000001", "[::1]"])
def test_private_address_of_a_service_is_refused(receiver: HttpReceiver, host: str) -> None:
    result = send(f"json://{host}:{receiver.port}/", allowed=AllowList())
    assert result.state == "refused"
    assert "SIGNALS_NOTIFY_ALLOW" in (result.error or "")
    assert receiver.requests == []


def test_allowed_host_name_is_reached(receiver: HttpReceiver) -> None:
    allowed = AllowList.parse("localhost")
    assert send(f"json://localhost:{receiver.port}/", allowed=allowed).state == "told"


def test_guarded_process_does_nothing_but_connect(tmp_path: object) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TRIES, f"{tmp_path}/written"], capture_output=True, text=True, check=True
    )
    assert ended.stdout == ""


def _children() -> list[psutil.Process]:
    """Return the processes of ours that send through Apprise; one that ended meanwhile hides no other."""
    found = []
    for one in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # a zombie that another test left has no arguments either
            if CHILD in one.cmdline():
                found.append(one)
    return found


def test_child_has_no_secret_in_arguments_and_environment(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", SECRET)
    receiver.mode = "hang"
    url = f"json://127.0.0.1:{receiver.port}/{SECRET}"
    sending = threading.Thread(target=send, args=(url,), kwargs={"timeout_s": HELD_S})
    sending.start()
    # Looked at as soon as it is there: on a slow machine its deadline may follow its first request at once.
    [child] = until(_children, every_s=0.01)
    arguments, environment = child.cmdline(), child.environ()
    assert SECRET not in " ".join(arguments)
    assert SECRET not in str(environment)
    assert set(environment) <= {"REQUESTS_CA_BUNDLE", "LC_CTYPE"}
    until(lambda: bool(receiver.requests))
    began = time.monotonic()
    sending.join()
    assert time.monotonic() - began < 10 * HELD_S
    assert not psutil.pid_exists(child.pid)


def test_incident_is_told_once_at_its_opening_and_once_at_its_end(world: World) -> None:
    with http_receiver() as receiver:
        world.sender = type(world.sender)(LOOPBACK, timeout_s=TIMEOUT_S)
        world.destination({"kind": "apprise", "url": f"json://127.0.0.1:{receiver.port}/{SECRET}"})
        incident_id = world.open()
        world.run(within_s=3 * TIMEOUT_S)
        world.summarize(incident_id)
        world.run(within_s=3 * TIMEOUT_S)
        world.set(incident_id, status="resolved")
        world.run(within_s=3 * TIMEOUT_S)
        assert [got.json["type"] for got in receiver.requests] == ["failure", "success"]
    stored = str(world.rows("SELECT d::text FROM pipeline.destinations d"))
    assert SECRET not in stored
    assert os.environ.get("DATABASE_URL") != SECRET
