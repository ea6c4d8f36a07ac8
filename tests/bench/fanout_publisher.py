"""The publisher of `tests.bench.fanout`: a process of its own, so that reading never delays what is due.

Run as `python -m tests.bench.fanout_publisher`; a plan on the first line of standard input, then a rate a line; each is
answered by how many events were sent, when the last was.
"""

import contextlib
import json
import os
import select
import socket
import sys
import time
from typing import Any

_DOORS = 4
_AT_ONCE = 64


class Door:
    """A connection that takes events as POSTs, one behind the other."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setblocking(False)
        self.backlog = b""

    def flush(self) -> None:
        """Write what fits, and drop the answers."""
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(1 << 20):
                pass
        with contextlib.suppress(BlockingIOError):
            while self.backlog:
                self.backlog = self.backlog[self._socket.send(self.backlog) :]

    def wait(self, wait_s: float) -> None:
        """Until there is room or an answer."""
        select.select([self._socket], [self._socket] if self.backlog else [], [], wait_s)


class Publisher:
    """Open loop: events go out when they are due, however late the answers are."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._doors = [Door(plan["port"] + plan["door"]) for _ in range(_DOORS)]
        self._topics: list[str] = plan["topics"]
        self._pad = "x" * plan["pad"]

    def _body(self, due: float) -> bytes:
        # One mark an event, of one byte: a reader finds it however its reads cut the stream.
        return f'{{"mark":"~","at":{due:.6f},"pad":"{self._pad}"}}'.encode()

    def publish(self, place: int, due: float) -> None:
        """The event numbered `place`, to the topic whose turn it is."""
        topic = place % len(self._topics)
        body = self._body(due)
        head = f"POST /pub?topic={self._topics[topic]} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        self._doors[topic % _DOORS].backlog += head.encode() + body

    def run(self, rate: float, seconds: float) -> int:
        """Events for `seconds`, `rate` a second over all topics; whole rounds, so that each topic gets as many."""
        total = max(1, round(rate * seconds / len(self._topics))) * len(self._topics)
        began, sent = time.time() + 0.01, 0
        while sent < total:
            if (wait := began + sent / rate - time.time()) > 0:
                time.sleep(wait)
            ready = min(int((time.time() - began) * rate) + 1 - sent, total - sent, _AT_ONCE)
            for place in range(sent, sent + ready):
                self.publish(place, began + place / rate)
            sent += ready
            for door in self._doors:
                door.flush()
        self.drain()
        return total

    def drain(self) -> None:
        """Until everything is on its way."""
        while waiting := [door for door in self._doors if door.backlog]:
            waiting[0].wait(0.01)
            for door in self._doors:
                door.flush()


def main() -> None:
    """Serve the reader."""
    os.sched_setaffinity(0, {1})
    publisher = Publisher(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(publisher.run(order["rate"], order["seconds"])), flush=True)


if __name__ == "__main__":
    main()
