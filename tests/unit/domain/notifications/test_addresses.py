"""No message can be sent to an address that is not public, in any spelling."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.clients.outbound.guard import AddressRefused, HostUnknown, resolve
from signals.domain.notifications.addresses import (
    AllowList,
    InvalidAllowListError,
    is_public,
    parse_address,
    refusal,
)

NONE = AllowList()
PRIVATE_V4 = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/29",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
]
PRIVATE_V6 = ["::/96", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2001:db8::/32", "100::/64"]

private_v4 = st.one_of([st.ip_addresses(v=4, network=network) for network in PRIVATE_V4])
private_v6 = st.one_of([st.ip_addresses(v=6, network=network) for network in PRIVATE_V6])
public_v4 = st.ip_addresses(v=4).filter(
    lambda one: one.is_global and not one.is_multicast and one not in ip_network("192.88.99.0/24")
)


def embedded(address: Any) -> list[IPv6Address]:
    """Return the IPv6 addresses that lead to an IPv4 one."""
    low = int(address)
    return [
        IPv6Address((0xFFFF << 32) | low),  # mapped
        IPv6Address(low),  # compatible
        IPv6Address((0x64FF9B << 96) | low),  # NAT64
        IPv6Address((0x64FF9B0001 << 80) | low),  # local NAT64
        IPv6Address((0x2002 << 112) | (low << 80)),  # 6to4
        IPv6Address((0x20010000 << 96) | (low ^ 0xFFFFFFFF)),  # Teredo
    ]


@given(st.one_of(private_v4, private_v6))
def test_private_address_is_refused(address: Any) -> None:
    assert refusal("host", [address], NONE) is not None


@given(st.ip_addresses(v=4))
def test_address_inside_another_kind_is_refused(address: Any) -> None:
    for wrapped in embedded(address):
        assert not is_public(wrapped)


@given(public_v4)
def test_public_address_is_accepted(address: Any) -> None:
    assert refusal("host", [address], NONE) is None


@given(st.lists(public_v4, max_size=3), st.one_of(private_v4, private_v6), st.lists(public_v4, max_size=3))
def test_one_private_answer_refuses_a_host(before: list[Any], private: Any, after: list[Any]) -> None:
    assert refusal("host", [*before, private, *after], NONE) is not None


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "::1", "0", "[::1]"]
)
def test_no_spelling_of_loopback_is_connected_to(host: str) -> None:
    with pytest.raises((AddressRefused, HostUnknown)):
        resolve(host, 80, NONE)


@contextmanager
def answers(monkeypatch: pytest.MonkeyPatch, *lists: list[str]) -> Iterator[list[str]]:
    """Let each look-up give the next of these answers; yields the names that were asked for."""
    left, asked = list(lists), []

    def look_up(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in left.pop(0)]

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", look_up)
        yield asked


def test_the_address_that_was_checked_is_the_one_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    with answers(monkeypatch, ["93.184.215.14"], ["127.0.0.1"]) as asked:
        assert resolve("rebinding.example", 443, NONE) == "93.184.215.14"
        assert asked == ["rebinding.example"]  # one look-up: there is no second answer to connect to
        with pytest.raises(AddressRefused):
            resolve("rebinding.example", 443, NONE)


def test_mixed_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with answers(monkeypatch, ["93.184.215.14", "10.0.0.5"]), pytest.raises(AddressRefused):
        resolve("mixed.example", 443, NONE)


def test_allow_list_admits_networks_and_hosts() -> None:
    allowed = AllowList.parse(" 10.20.0.0/16, ntfy.internal ,::1")
    assert refusal("any", [IPv4Address("10.20.1.1")], allowed) is None
    assert refusal("any", [parse_address("::ffff:10.20.1.1")], allowed) is None
    assert refusal("NTFY.internal", [IPv4Address("192.168.1.1")], allowed) is None
    assert refusal("any", [IPv4Address("10.21.1.1")], allowed) is not None
    assert refusal("any", [IPv6Address("::1")], allowed) is None


@pytest.mark.parametrize(
    ("text", "admitted"),
    [("0.0.0.0/0", False), ("metadata.internal", False), ("169.254.169.254", True), ("169.254.0.0/16", True)],
)
def test_wide_entry_does_not_open_the_metadata_service(text: str, admitted: bool) -> None:
    address = IPv4Address("169.254.169.254")
    assert (refusal("metadata.internal", [address], AllowList.parse(text)) is None) is admitted


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.5/8", "1.2.3", "fe80::/200"])
def test_unreadable_allow_list_names_the_entry(text: str) -> None:
    with pytest.raises(InvalidAllowListError, match=text.replace(".", r"\.")):
        AllowList.parse(f"127.0.0.0/8,{text}")
