"""Workers, from the operator's side."""

from imts.client.transport import Transport
from shared.contracts.workers import WorkerList, WorkerView


class Workers:
    """What an operator does with workers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> WorkerList:
        """Every worker, each asked how it stands now."""
        return self._transport.get("/api/workers", WorkerList)

    def drain(self, name: str) -> WorkerView:
        """No new attempts there; running ones finish."""
        return self._transport.post(f"/api/workers/{name}/drain", WorkerView)

    def forget(self, name: str) -> WorkerView:
        """Its host is gone for good: its attempts are lost, new ones start elsewhere."""
        return self._transport.post(f"/api/workers/{name}/forget", WorkerView)

    def admit(self, name: str) -> WorkerView:
        """Take a drained or forgotten worker back."""
        return self._transport.post(f"/api/workers/{name}/admit", WorkerView)
