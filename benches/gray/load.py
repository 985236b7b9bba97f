"""Requests at a constant rate, whatever the answers take.

Each request is due at a fixed moment and is sent then, on an idle connection or
a new one; its latency counts from that moment. A generator that waits for
answers instead would ask a slow proxy less often and so hide how slow it is.
"""

import asyncio
import time
from dataclasses import dataclass

from backends import NAME

TIMEOUT_SECONDS = 10
# More would mean that the proxy answers nothing any more.
MAX_CONNECTIONS = 2000
REQUEST = b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n"


@dataclass
class Shot:
    """One request: when it was due, when sent, when its answer was there, and whose answer it was."""
    due: float
    sent: float
    ended: float
    backend: int
    good: bool

    @property
    def latency(self):
        return self.ended - self.due


class Load:
    """The requests of one measurement. Moments count from its start, in seconds."""

    def __init__(self, port, per_second):
        self.port, self.gap = port, 1 / per_second
        self.idle, self.open, self.shots, self.tasks = [], 0, [], set()
        self.stopped = False

    def now(self):
        return time.monotonic() - self.start

    async def __aenter__(self):
        self.start = time.monotonic()
        self.clock = asyncio.create_task(self._fire())
        return self

    async def __aexit__(self, *_):
        self.stopped = True
        await self.clock
        await asyncio.gather(*self.tasks)
        for _, writer in self.idle:
            writer.close()

    def due(self, start, end):
        return [shot for shot in self.shots if start <= shot.due < end]

    async def _fire(self):
        number = 0
        while not self.stopped:
            due = number * self.gap
            if (wait := due - self.now()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self._shoot(due))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            number += 1

    async def _shoot(self, due):
        sent, backend, good = self.now(), -1, False
        try:
            backend, good = await asyncio.wait_for(self._ask(), TIMEOUT_SECONDS)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError):
            pass
        self.shots.append(Shot(due, sent, self.now(), backend, good))

    async def _ask(self):
        """The backend that answered, and whether with a complete 200."""
        if self.idle:
            reader, writer = self.idle.pop()
        elif self.open >= MAX_CONNECTIONS:
            raise ValueError("too many connections")
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.open += 1
        kept = False
        try:
            writer.write(REQUEST)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            await reader.readexactly(int(headers[b"content-length"]))
            kept = headers.get(b"connection") != b"close"
            return int(headers.get(NAME, b"-1")), head.startswith(b"http/1.1 200")
        except KeyError as error:
            raise ValueError("an answer without a length") from error
        finally:
            if kept:
                self.idle.append((reader, writer))
            else:
                self.open -= 1
                writer.close()
