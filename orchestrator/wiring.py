"""Puts the orchestrator's parts together."""

import secrets
import socket
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.clients.planning import HttpPlanning
from orchestrator.clients.serving import HttpServing, HttpUpstream
from orchestrator.clients.stream import HttpStream
from orchestrator.clients.worker import HttpWorker
from orchestrator.db.engine import open_database
from orchestrator.db.unit_of_work import SqlUnitsOfWork
from orchestrator.domain.decisions import Policy
from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import UnitsOfWork
from orchestrator.domain.queueing.board import WorkerBoard
from orchestrator.domain.queueing.gauge import QueueGauge
from orchestrator.domain.webhooks.verdicts import Patience
from orchestrator.operations.datasets import DatasetIntake
from orchestrator.operations.keys import DatabaseKeys
from orchestrator.operations.models import ModelIntake
from orchestrator.operations.planning import PlanDesk
from orchestrator.operations.queue import Explainer
from orchestrator.operations.readiness import Readiness
from orchestrator.operations.scratch import Scratch
from orchestrator.operations.serving import Waiter
from orchestrator.operations.submit import Intake
from orchestrator.operations.sweeps import SweepIntake
from orchestrator.operations.webhooks import WebhookDesk
from orchestrator.reconciler.advance import Advance
from orchestrator.reconciler.bells import Bells
from orchestrator.reconciler.courier import Courier
from orchestrator.reconciler.deletions import Eraser
from orchestrator.reconciler.gauges import Census
from orchestrator.reconciler.housekeeping import Housekeeper
from orchestrator.reconciler.lane_keeper import LaneKeeper
from orchestrator.reconciler.leases import Leases
from orchestrator.reconciler.loop import Reconciler
from orchestrator.reconciler.outbox import Relay
from orchestrator.reconciler.retirement import Retirement
from orchestrator.settings import OrchestratorSettings
from shared.datasets.limits import Limits
from shared.kit.artifacts import ArtifactStore
from shared.kit.auth import CachedKeys, Gate, ServiceTokens
from shared.kit.clock import Clock, SystemClock
from shared.kit.egress import Egress
from shared.kit.peer import PeerClient
from shared.kit.sealing import Sealer
from shared.kit.sql import Database
from shared.kit.upstream import OpenAiServer

SERVICE = "orchestrator"


@dataclass(frozen=True, slots=True)
class Serving:
    """Chat completions, with connections of their own."""

    waiter: Waiter
    peers: dict[str, HttpServing]
    upstream: HttpUpstream | None

    async def close(self) -> None:
        """Give the connections back."""
        for peer in self.peers.values():
            await peer.close()
        if self.upstream is not None:
            await self.upstream.close()


@dataclass(frozen=True, slots=True)
class Planning:
    """Plans, with connections of their own."""

    desk: PlanDesk
    peers: dict[str, HttpPlanning]

    async def close(self) -> None:
        """Give the connections back."""
        for peer in self.peers.values():
            await peer.close()


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything that lives as long as the process."""

    settings: OrchestratorSettings
    clock: Clock
    database: Database
    units: UnitsOfWork
    clients: list[PeerClient]
    peers: Peers
    store: ArtifactStore
    scratch: Scratch
    gate: Gate
    readiness: Readiness
    explainer: Explainer
    bells: Bells
    intake: Intake
    sweep_intake: SweepIntake
    dataset_intake: DatasetIntake
    model_intake: ModelIntake
    serving: Serving
    planning: Planning
    egress: Egress
    webhook_desk: WebhookDesk
    reconciler: Reconciler
    relay: Relay
    courier: Courier
    eraser: Eraser
    retirement: Retirement
    housekeeper: Housekeeper
    census: Census
    lanes: LaneKeeper


def connect(settings: OrchestratorSettings, tokens: ServiceTokens) -> tuple[Peers, list[PeerClient]]:
    """The other services, at the addresses that the settings name."""
    pools = settings.pools
    clients = {name: PeerClient(service, url, tokens) for service, pool in pools.items() for name, url in pool.items()}
    stream = PeerClient("stream", settings.stream_url, tokens)
    workers = {name: HttpWorker(name, client) for name, client in clients.items()}
    names = {service: list(pool) for service, pool in pools.items()}
    return Peers(workers, HttpStream(stream), names), [*clients.values(), stream]


def connect_serving(settings: OrchestratorSettings, tokens: ServiceTokens, units: UnitsOfWork, peers: Peers) -> Serving:
    """Those who serve: every training service, and the upstream where one is named."""
    found = {
        name: HttpServing(PeerClient("training", url, tokens), settings.serving_timeout_s)
        for name, url in settings.pools["training"].items()
    }
    upstream = None
    if settings.serving_upstream_url:
        key = settings.serving_upstream_key.get_secret_value()
        upstream = HttpUpstream(OpenAiServer(settings.serving_upstream_url, key, settings.serving_timeout_s))

    def living() -> dict[str, HttpServing]:
        return {name: found[name] for name in peers.roll.without_forgotten(found)}

    return Serving(Waiter(units, living, upstream), found, upstream)


def connect_planning(
    settings: OrchestratorSettings, tokens: ServiceTokens, units: UnitsOfWork, intake: Intake, peers: Peers
) -> Planning:
    """Those who rehearse trainings: every training service."""
    found = {
        name: HttpPlanning(PeerClient("training", url, tokens, settings.planning_timeout_s))
        for name, url in settings.pools["training"].items()
    }

    def living() -> dict[str, HttpPlanning]:
        return {name: found[name] for name in peers.roll.without_forgotten(found)}

    return Planning(PlanDesk(units, intake, living), found)


def owner_of(settings: OrchestratorSettings) -> str:
    """This replica's name: the same after a restart, so that it takes back what it left claimed."""
    return f"{socket.gethostname()}:{settings.port or secrets.token_hex(6)}"


def build_wiring(settings: OrchestratorSettings, peers: Peers | None = None, clock: Clock | None = None) -> Wiring:
    """All parts, none of them started; `peers` and `clock` replace the real ones."""
    clock = clock or SystemClock()
    tokens = ServiceTokens(SERVICE, settings.service_secret.get_secret_value())
    clients: list[PeerClient] = []
    if peers is None:
        peers, clients = connect(settings, tokens)
    database = open_database(settings)
    units = SqlUnitsOfWork(database)
    bells, board, gauge = Bells(), WorkerBoard(), QueueGauge(settings.max_queued_jobs, clock.monotonic)
    store = ArtifactStore(settings.artifacts, cache=settings.data_dir / "cache")
    scratch = Scratch(settings.data_dir / "scratch")
    egress = Egress(settings.egress, settings.webhook_timeout_s, settings.egress_ca_file)
    sealer = Sealer(settings.service_secret.get_secret_value(), "webhooks")
    patience = Patience(settings.webhook_retry_s, timedelta(days=settings.webhook_disable_days))
    policy = Policy(settings.look_interval_s, settings.drain_patience_s, settings.retry_backoff_s)
    intake = Intake(units, clock, gauge, bells, settings.terms)
    return Wiring(
        settings=settings, clock=clock, database=database, units=units, clients=clients, peers=peers, store=store,
        scratch=scratch, gate=Gate(CachedKeys(DatabaseKeys(units)), tokens), readiness=Readiness(units, peers),
        explainer=Explainer(peers, board, clock), bells=bells,
        intake=intake, sweep_intake=SweepIntake(units, intake, clock, bells),
        serving=connect_serving(settings, tokens, units, peers),
        planning=connect_planning(settings, tokens, units, intake, peers),
        dataset_intake=DatasetIntake(units, store, clock, scratch, Limits()),
        model_intake=ModelIntake(units, store, clock, scratch), egress=egress,
        webhook_desk=WebhookDesk(units, egress, sealer, bells),
        reconciler=Reconciler(
            units, peers, clock, board, gauge, Leases(units, clock, owner_of(settings), settings.lease_s),
            Advance(units, peers, clock, bells, policy), bells.reconciler, settings.look_interval_s,
        ),
        relay=Relay(units, peers, clock, bells.outbox),
        courier=Courier(units, egress, sealer, clock, bells.courier, owner_of(settings), patience),
        housekeeper=Housekeeper(units, clock, settings.outbox_kept_days, settings.webhook_kept_days),
        eraser=Eraser(units, peers, clock, bells.deletions),
        retirement=Retirement(units, clock, bells, settings.job_retention_days),
        census=Census(units, clock),
        lanes=LaneKeeper(units),
    )  # fmt: skip
