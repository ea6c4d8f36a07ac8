"""What a worker tells Prometheus: its slots, its warm spares, and how far behind its reports are."""

from shared.contracts.work import Capacity
from shared.kit.metrics import Gauge

SLOTS = Gauge("mesh_worker_slots", "Attempts that may run at once", ["service"])
RUNNING = Gauge("mesh_worker_running_attempts", "Attempts that have not ended", ["service"])
SPARES = Gauge("mesh_worker_spares", "Warm process pairs that wait for a job", ["service"])
DRAINING = Gauge("mesh_worker_draining", "1 while the worker takes no new attempts", ["service"])
REPORTS = Gauge("mesh_reporter_open_attempts", "Attempts whose events are not all in the log", ["service"])
REPORTER_LAG = Gauge("mesh_reporter_lag_seconds", "Age of the oldest event that is not in the log", ["service"])


def tell(service: str, capacity: Capacity, running: int, open_attempts: int, lag_s: float) -> None:
    """The worker as it is now."""
    told = (SLOTS, capacity.slots), (RUNNING, running), (SPARES, capacity.spares), (DRAINING, capacity.draining)
    for gauge, value in (*told, (REPORTS, open_attempts), (REPORTER_LAG, lag_s)):
        gauge.labels(service).set(value)
