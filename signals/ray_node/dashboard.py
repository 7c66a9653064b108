"""Runs Ray's dashboard in one process: `python -m signals.ray_node.dashboard`, with Ray's options.

Ray runs each of its modules in a process of its own, and starts two more processes for them. Here the
modules are tasks of the dashboard's own event loop. They answer on the same Unix sockets.
"""

import asyncio
import logging
import os
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import ray
from ray._private.ray_constants import DASHBOARD_ADDRESS, KV_NAMESPACE_DASHBOARD
from ray.dashboard.subprocesses import handle
from ray.dashboard.subprocesses.utils import get_http_session_to_module

PROGRAM: Final = Path(ray.__file__).parent / "dashboard" / "dashboard.py"
ASKED_AGAIN_S: Final = 0.1

log = logging.getLogger(__name__)
ray_handle: Any = handle


class ModuleInProcess(ray_handle.SubprocessModuleHandle):  # type: ignore[misc]
    """The handle of a module that runs in the dashboard's event loop (Ray 2.60's interface)."""

    is_announced = False

    @classmethod
    def preload_in_forkserver(cls, module_classes: list[type[Any]]) -> None:
        """Start no server for forking: nothing is forked."""

    def start_module(self) -> None:
        """Let the module open its socket; requests wait for it."""
        socket_dir, name = self.config.socket_dir, self.module_cls.__name__
        Path(socket_dir).mkdir(exist_ok=True)
        self.process = SimpleNamespace(pid=os.getpid())  # asked for its cost
        self.module = self.module_cls(self.config)
        self.starting = self.loop.create_task(self.module.run())
        self.starting.add_done_callback(self._end_unless_started)
        self.http_client_session = get_http_session_to_module(name, socket_dir, self.config.session_name)

    def wait_for_module_ready(self) -> None:
        """Return at once: the loop that starts the module is the one that calls."""

    async def proxy_request(self, *request: Any) -> Any:
        """Pass a request on, once the module answers and the dashboard is announced.

        Ray starts the rest of the node after that. A module's first request may block the loop until the
        node is there (`ray.init`), and must not do so before.
        """
        await asyncio.shield(self.starting)
        while not self.is_announced:
            address = await self.module.gcs_client.async_internal_kv_get(
                DASHBOARD_ADDRESS.encode(), namespace=KV_NAMESPACE_DASHBOARD, timeout=None
            )
            type(self).is_announced = bool(address)
            await asyncio.sleep(0 if address else ASKED_AGAIN_S)
        return await super().proxy_request(*request)

    def _end_unless_started(self, started: "asyncio.Task[None]") -> None:
        if error := started.exception():
            log.critical("%s does not start", self.module_cls.__name__, exc_info=error)
            os._exit(1)  # as Ray's own dashboard does; the node's holder sees it


def main() -> None:
    """Replace the handles of modules, then become Ray's dashboard."""
    ray_handle.SubprocessModuleHandle = ModuleInProcess
    runpy.run_path(str(PROGRAM), run_name="__main__")


if __name__ == "__main__":
    main()
