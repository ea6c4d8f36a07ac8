"""Plans trainings: names are looked up as for a job, a training service rehearses, ended jobs tell how fast it is."""

from collections.abc import Callable, Mapping

from orchestrator.domain.job import Inputs, Job
from orchestrator.domain.planning import PlanningPeer, duration_of
from orchestrator.domain.ports import JobFilter, UnitOfWork, UnitsOfWork
from orchestrator.domain.sight import require_plannable
from orchestrator.domain.submission import training_submission
from orchestrator.operations.submit import Intake
from shared.contracts.jobs import Phase
from shared.contracts.plans import PlanCall, TrainingPlan
from shared.contracts.training import Stage, TrainingSpec
from shared.contracts.work import JobKind
from shared.kit.errors import InvalidRequest, PeerUnavailable, RateLimited
from shared.kit.tasks import in_thread

_ENDED = 50


class PlanDesk:
    """Where plans are asked for; nothing is written down."""

    def __init__(self, units: UnitsOfWork, intake: Intake, peers: Callable[[], Mapping[str, PlanningPeer]]) -> None:
        self._units = units
        self._intake = intake
        self._peers = peers

    async def plan(self, spec: TrainingSpec) -> TrainingPlan:
        """NotFound names the field of what is not there; PeerUnavailable when no training service answers."""
        if spec.stage is Stage.PPO:
            raise InvalidRequest("stage: ppo cannot be planned yet", param="stage", code="not_planned")
        submission = training_submission(spec)

        def look(uow: UnitOfWork) -> tuple[Inputs, list[Job]]:
            require_plannable(uow.models.require(spec.model_name, "modelName"))
            wanted = JobFilter(kind=JobKind.TRAINING, phase=Phase.SUCCEEDED)
            return self._intake.acceptance(uow).resolve(submission), uow.jobs.page(wanted, None, _ENDED)

        inputs, ended = await in_thread(self._units.read, look)
        plan = await self._ask(
            PlanCall(spec=submission.spec, datasets=inputs.datasets, models=inputs.models, gpus=spec.gpus)
        )
        duration = duration_of(plan, spec, inputs.models["base"].base, ended)
        return plan.model_copy(update={"duration": duration})

    async def _ask(self, call: PlanCall) -> TrainingPlan:
        refusal: PeerUnavailable | RateLimited = PeerUnavailable("no training service is named in the settings")
        for peer in self._peers().values():
            try:
                return await peer.plan(call)
            except (PeerUnavailable, RateLimited) as fault:
                refusal = fault
        raise refusal
