"""Where Kubeflow-style trainers push their status: any Hugging Face Trainer does, with no change to its code."""

from services.stream.dependencies import RunPath, TheStream
from services.stream.log.admission import admit
from services.stream.log.meters import counting_refusals
from services.stream.log.numbering import Append
from services.stream.trainer_status import events_of
from shared.contracts.events import job_topic
from shared.contracts.trainer_status import TrainerStatusPush
from shared.kit.application import api_router

routes = api_router("/v1/runs/{run_id}", "log")
_PRODUCER = "trainer-status"


@routes.post("/trainer-status")
async def push(run_id: RunPath, body: TrainerStatusPush, stream: TheStream) -> TrainerStatusPush:
    """Take a status push (`KUBEFLOW_TRAINER_SERVER_URL` is this address) into the run's log, and echo it."""
    topic = job_topic(run_id)
    if events := events_of(body.trainer_status):
        with counting_refusals():
            # The sender does not number its pushes: the log does.
            await stream.committer.submit(Append(topic, _PRODUCER, None, admit(topic, events)))
    return body
