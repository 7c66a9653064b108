"""Services that are offered through Apprise speak HTTP alone, as far as their plugins' imports say."""

import ast
import inspect
import sys
import warnings
from importlib import import_module
from typing import Any, Final

import pytest

from signals.domain.notifications.apprise_urls import HOSTED, SCHEMES

FOREIGN: Final = frozenset(
    {
        "socket",
        "subprocess",
        "smtplib",
        "ctypes",
        "paho",
        "slixmpp",
        "smpplib",
        "gntp",
        "dbus",
        "multiprocessing",
    }
)


def imported(module: str) -> set[str]:
    """Return the packages that a module imports at any place."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    names = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


@pytest.fixture(scope="module")
def plugins() -> Any:
    """Apprise's services, all loaded; one that is not offered imports what Python gives up."""
    manager: Any = import_module("apprise.manager_plugins").NotificationManager()
    with warnings.catch_warnings(action="ignore"):
        manager.load_modules()
    return manager


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_offered_service_exists_and_opens_no_socket_of_its_own(plugins: Any, scheme: str) -> None:
    plugin = plugins[scheme]
    assert not imported(plugin.__module__) & FOREIGN
    assert plugin.enabled


def test_services_on_servers_of_ones_own_are_offered() -> None:
    assert HOSTED < SCHEMES
