"""What Prometheus is told of listeners: who listens, what they got, how far behind they are, who was let go."""

from typing import Literal
from weakref import WeakSet

from services.stream.fanout import Fanout
from shared.kit.metrics import Counter, Gauge

Wire = Literal["sse", "websocket"]
Reason = Literal["stalled", "life_cap", "shutting_down", "log_unreadable"]

_listeners = Gauge("stream_listeners", "Open streams", ["wire"])
_delivered = Counter("stream_events_delivered_total", "Events handed whole to a listener's connection", ["wire"])
_dropped = Counter("stream_listeners_dropped_total", "Streams that the server ended before their topic", ["reason"])
_behind = Gauge("stream_furthest_behind_events", "Events that the listener furthest behind has still to get")

sse_listeners = _listeners.labels("sse")
websockets = _listeners.labels("websocket")
sse_delivered = _delivered.labels("sse")
websocket_delivered = _delivered.labels("websocket")

_fanouts: WeakSet[Fanout] = WeakSet()


def dropped(reason: Reason) -> None:
    """A listener was asked to come again, or cut off."""
    _dropped.labels(reason).inc()


def watch(fanout: Fanout) -> None:
    """Ask `fanout` how far behind its listeners are whenever Prometheus asks us."""
    _fanouts.add(fanout)


_behind.set_function(lambda: max((fanout.furthest_behind() for fanout in list(_fanouts)), default=0))
