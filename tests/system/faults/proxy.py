"""A TCP proxy that does to connections what networks do: delays, resets, refusals, silence.

It runs an event loop in a thread of its own, so that a test drives it with plain calls.
"""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Literal, TypeVar

from signals.ray_node.variables import HOST

CHUNK_BYTES: Final = 65_536
RST_AT_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER with zero seconds
CALL_S: Final = 60.0

Mode = Literal["forward", "silent", "refuse"]
Returned = TypeVar("Returned")


class TcpProxy:
    """Stands before one server. `port` is where clients connect; `target_port` may change at any time."""

    def __init__(self, port: int, target_port: int, host: str = HOST) -> None:
        self.host = host
        self.port = port
        self.target_port = target_port
        self.latency_s = 0.0
        """Added to each direction; a question and its answer take twice as long."""
        self.accepted = 0
        self._mode: Mode = "forward"
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{port}", daemon=True)
        self._thread.start()
        self._call(self._listen())

    def reset_all(self) -> int:
        """Break every connection off with RST, both ends; return how many there were."""
        return self._call(self._reset())

    def go_silent(self) -> None:
        """Take connections and bytes, and pass nothing on, until `restore`."""
        self._call(self._enter("silent"))

    def refuse(self) -> None:
        """Reset all connections and refuse new ones, until `restore`."""
        self._call(self._enter("refuse"))

    def restore(self) -> None:
        """Forward again, without delay; what was held back in silence flows on."""
        self.latency_s = 0.0
        self._call(self._enter("forward"))

    def close(self) -> None:
        """Close all connections and stop the thread."""
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine: Coroutine[None, None, Returned]) -> Returned:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(CALL_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)

    async def _enter(self, mode: Mode) -> None:
        self._mode = mode
        if mode == "silent":
            self._flowing.clear()
        else:
            self._flowing.set()
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
            await self._reset()
        elif mode == "forward" and self._server is None:
            await self._listen()

    async def _reset(self) -> int:
        count = len(self._writers) // 2
        for writer in list(self._writers):
            with suppress(OSError):  # the other end was faster
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_AT_CLOSE)
            writer.transport.abort()
        return count

    async def _end(self) -> None:
        await _settle()  # a server closed between accept and transport leaks the socket (CPython 3.11)
        if self._server is not None:
            self._server.close()
        await self._reset()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await _settle()  # the aborted transports close their sockets

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        ends = {writer}
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            await self._flowing.wait()
            with suppress(OSError):  # the server is away, or one end broke off: so does the other
                up_reader, up_writer = await asyncio.open_connection(HOST, self.target_port)
                ends.add(up_writer)
                self._writers |= ends
                await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer))
        except asyncio.CancelledError:  # only `close` does this; asyncio's own callback would log it
            return
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on in order, each chunk `latency_s` after its arrival."""
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)

        async def deliver() -> None:
            while True:
                due, data = await late.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self._flowing.wait()
                if not data:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()

        delivering = asyncio.create_task(deliver())
        try:
            while data := await reader.read(CHUNK_BYTES):
                await late.put((time.monotonic() + self.latency_s, data))
            await late.put((time.monotonic() + self.latency_s, b""))
            await delivering
        finally:
            delivering.cancel()


async def _settle() -> None:
    """Let the loop run what is already due, and what that makes due."""
    for _ in range(5):
        await asyncio.sleep(0)


@contextmanager
def open_proxy(port: int, target_port: int, host: str = HOST) -> Iterator[TcpProxy]:
    """Run a proxy until the end of the block."""
    proxy = TcpProxy(port, target_port, host)
    try:
        yield proxy
    finally:
        proxy.close()
