"""Three small backends in a process of their own, whose delays can be changed while they run."""

import asyncio
import gc
import multiprocessing
import os
import socket

from processes import Failed

BODY = b"fine"
# The header by which a backend says which one it is.
NAME = b"x-server-id"
START_SECONDS = 10


class Backends:
    """The backends; they end with the `with` block."""

    def __init__(self, count, core):
        self.sockets = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(count)]
        self.ports = [sock.getsockname()[1] for sock in self.sockets]
        self.delays = multiprocessing.Array("d", count)
        self.ready = multiprocessing.Event()
        self.process = multiprocessing.Process(target=self._run, args=(core,), daemon=True)

    def __enter__(self):
        self.process.start()
        for sock in self.sockets:
            sock.close()
        if not self.ready.wait(START_SECONDS):
            self.__exit__()
            raise Failed("the backends do not start")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join()

    def takes(self, backend, seconds):
        """What every further request to this backend takes."""
        self.delays[backend] = seconds

    def _run(self, core):
        os.sched_setaffinity(0, {core})
        gc.disable()
        asyncio.run(self._serve())

    async def _serve(self):
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(lambda index=index: Answering(self.delays, index), sock=sock)
                   for index, sock in enumerate(self.sockets)]
        self.ready.set()
        await asyncio.gather(*(server.serve_forever() for server in servers))


class Answering(asyncio.Protocol):
    """One connection: each request head is answered after the delay of the moment."""

    def __init__(self, delays, index):
        self.delays, self.index, self.pending = delays, index, b""
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(BODY)}\r\n{NAME.decode()}: {index}\r\n\r\n"
        self.answer = head.encode() + BODY

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.pending += data
        while (end := self.pending.find(b"\r\n\r\n")) >= 0:
            self.pending = self.pending[end + 4:]
            asyncio.get_running_loop().call_later(self.delays[self.index], self.transport.write, self.answer)
