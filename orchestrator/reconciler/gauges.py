"""What the orchestrator tells Prometheus: counts of what it does, and now and then a census of what there is."""

import asyncio
from datetime import datetime

from orchestrator.domain.census import Backlog, Standing
from orchestrator.domain.job import WORKER_OF_KIND, Job
from orchestrator.domain.ports import UnitOfWork, UnitsOfWork
from orchestrator.domain.webhooks.delivery import Delivery
from shared.contracts.jobs import Phase
from shared.contracts.work import ExitReport
from shared.kit.clock import Clock
from shared.kit.metrics import Counter, Gauge, Histogram
from shared.kit.tasks import in_thread

_EVERY_S = 10.0
SERVICES = sorted(set(WORKER_OF_KIND.values()))

MOVES = Counter("mesh_job_moves_total", "Moves that the reconciler made, by where to", ["kind", "to"])
ATTEMPTS = Counter("mesh_attempts_ended_total", "Ended attempts", ["kind", "outcome", "failure_class", "reason"])
LEASES_LOST = Counter("mesh_leases_lost_total", "Looks dropped because another replica had taken the job")
TURNS = Histogram("mesh_reconciler_turn_seconds", "Time of one turn of the reconciler's loop")
JOBS = Gauge("mesh_jobs", "Jobs that are not over", ["kind", "phase"])
QUEUE_DEPTH = Gauge("mesh_queue_depth", "Jobs that wait for a worker", ["service"])
QUEUE_OLDEST = Gauge("mesh_queue_oldest_seconds", "Age of the oldest waiting job", ["service"])
LOOKS_OVERDUE = Gauge("mesh_reconciler_overdue_jobs", "Working jobs whose look is due and that no replica holds")
LAG = Gauge("mesh_reconciler_lag_seconds", "How long the most overdue of them has waited")
OUTBOX = Gauge("mesh_outbox_unsent_events", "Events that are not in the log yet")
OUTBOX_OLDEST = Gauge("mesh_outbox_oldest_seconds", "Age of the oldest of them")

MESSAGES = Counter(
    "mesh_webhook_tries_total", "Tries to send a message to a webhook, by what became of it", ["outcome"]
)
MESSAGES_PENDING = Gauge("mesh_webhook_pending_messages", "Messages on their way to enabled webhooks")
MESSAGES_OLDEST = Gauge("mesh_webhook_oldest_seconds", "Age of the oldest of them")


def count_move(job: Job) -> None:
    """A job came to another phase."""
    MOVES.labels(job.kind.value, job.phase.value).inc()


def count_end(job: Job, report: ExitReport) -> None:
    """An attempt ended."""
    failure = report.failure
    told = ("none", "none") if failure is None else (failure.failure_class.value, failure.reason)
    ATTEMPTS.labels(job.kind.value, report.outcome.value, *told).inc()


def count_delivery(after: Delivery) -> None:
    """A message was sent, or could not be: `delivered`, `failed` for good, or `pending` again."""
    MESSAGES.labels(after.status.value).inc()


class Census:
    """Reads the gauges' values from the database; every replica tells the same."""

    def __init__(self, units: UnitsOfWork, clock: Clock) -> None:
        self._units = units
        self._clock = clock

    async def run(self) -> None:
        """For ever."""
        while True:
            await in_thread(self.take)
            await asyncio.sleep(_EVERY_S)

    def take(self) -> None:
        """Count once; blocking."""
        now = self._clock.now()

        def read(uow: UnitOfWork) -> tuple[list[Standing], list[Backlog]]:
            backlogs = [uow.census.unsent_events(), uow.census.overdue(now), uow.deliveries.backlog()]
            return list(uow.census.jobs()), backlogs

        standings, backlogs = self._units.read(read)
        _tell_jobs(standings, now)
        gauges = (OUTBOX, OUTBOX_OLDEST), (LOOKS_OVERDUE, LAG), (MESSAGES_PENDING, MESSAGES_OLDEST)
        for backlog, (count, age) in zip(backlogs, gauges, strict=True):
            count.set(backlog.count)
            age.set(_age_s(backlog.oldest, now))


def _tell_jobs(standings: list[Standing], now: datetime) -> None:
    JOBS.clear()
    for standing in standings:
        JOBS.labels(standing.kind.value, standing.phase.value).inc(standing.count)
    for service in SERVICES:
        waiting = [one for one in standings if one.phase is Phase.QUEUED and one.service == service]
        QUEUE_DEPTH.labels(service).set(sum(one.count for one in waiting))
        QUEUE_OLDEST.labels(service).set(max((_age_s(one.oldest, now) for one in waiting), default=0.0))


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
