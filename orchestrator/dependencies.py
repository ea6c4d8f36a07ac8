"""What routes may ask for, by type."""

from typing import Annotated

from fastapi import Depends, Header, Query
from starlette.requests import HTTPConnection

from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import Signals, UnitsOfWork
from orchestrator.operations.datasets import DatasetIntake
from orchestrator.operations.models import ModelIntake
from orchestrator.operations.planning import PlanDesk
from orchestrator.operations.queue import Explainer
from orchestrator.operations.serving import Waiter
from orchestrator.operations.submit import Intake
from orchestrator.operations.sweeps import SweepIntake
from orchestrator.operations.webhooks import WebhookDesk
from orchestrator.reconciler.loop import Hints
from orchestrator.settings import OrchestratorSettings
from orchestrator.wiring import Wiring
from shared.contracts.base import Name
from shared.kit.application import Caller
from shared.kit.artifacts import ArtifactStore
from shared.kit.clock import Clock


async def wiring_of(connection: HTTPConnection) -> Wiring:
    """What this app was built from."""
    wiring = connection.app.state.wiring
    assert isinstance(wiring, Wiring)
    return wiring


Wired = Annotated[Wiring, Depends(wiring_of)]


async def _units(wiring: Wired) -> UnitsOfWork:
    return wiring.units


async def _clock(wiring: Wired) -> Clock:
    return wiring.clock


async def _store(wiring: Wired) -> ArtifactStore:
    return wiring.store


async def _settings(wiring: Wired) -> OrchestratorSettings:
    return wiring.settings


async def _peers(wiring: Wired) -> Peers:
    return wiring.peers


async def _intake(wiring: Wired) -> Intake:
    return wiring.intake


async def _sweep_intake(wiring: Wired) -> SweepIntake:
    return wiring.sweep_intake


async def _signals(wiring: Wired) -> Signals:
    return wiring.bells


async def _hints(wiring: Wired) -> Hints:
    return wiring.reconciler.hints


async def _explainer(wiring: Wired) -> Explainer:
    return wiring.explainer


async def _dataset_intake(wiring: Wired) -> DatasetIntake:
    return wiring.dataset_intake


async def _model_intake(wiring: Wired) -> ModelIntake:
    return wiring.model_intake


async def _waiter(wiring: Wired) -> Waiter:
    return wiring.serving.waiter


async def _plan_desk(wiring: Wired) -> PlanDesk:
    return wiring.planning.desk


async def _webhook_desk(wiring: Wired) -> WebhookDesk:
    return wiring.webhook_desk


Units = Annotated[UnitsOfWork, Depends(_units)]
Clocked = Annotated[Clock, Depends(_clock)]
Store = Annotated[ArtifactStore, Depends(_store)]
Config = Annotated[OrchestratorSettings, Depends(_settings)]
Mesh = Annotated[Peers, Depends(_peers)]
IntakeDep = Annotated[Intake, Depends(_intake)]
PlanDeskDep = Annotated[PlanDesk, Depends(_plan_desk)]
SweepIntakeDep = Annotated[SweepIntake, Depends(_sweep_intake)]
DatasetIntakeDep = Annotated[DatasetIntake, Depends(_dataset_intake)]
ModelIntakeDep = Annotated[ModelIntake, Depends(_model_intake)]
WaiterDep = Annotated[Waiter, Depends(_waiter)]
WebhookDeskDep = Annotated[WebhookDesk, Depends(_webhook_desk)]
SignalsDep = Annotated[Signals, Depends(_signals)]
HintsDep = Annotated[Hints, Depends(_hints)]
Explaining = Annotated[Explainer, Depends(_explainer)]
CallerDep = Caller
IdempotencyKeyHeader = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")
]
Project = Annotated[Name, Query(description="group of jobs that belong together")]

__all__ = [
    "CallerDep",
    "Clocked",
    "Config",
    "DatasetIntakeDep",
    "Explaining",
    "HintsDep",
    "IdempotencyKeyHeader",
    "IntakeDep",
    "Mesh",
    "ModelIntakeDep",
    "Project",
    "SignalsDep",
    "Store",
    "SweepIntakeDep",
    "Units",
    "WaiterDep",
    "WebhookDeskDep",
    "Wired",
]
