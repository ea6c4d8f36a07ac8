"""An orchestrator that is told to end gives back the jobs it was looking at, so that another goes on at once."""

import asyncio
from datetime import timedelta

from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import Lease
from shared.contracts.work import AttemptView
from tests.fakes.worker import FakeWorker
from tests.integration.orchestrator.mesh import Mesh
from tests.waiting import eventually


class Thoughtful(FakeWorker):
    """Never answers when it is asked about an attempt."""

    async def look(self, attempt_id: str) -> AttemptView:
        self.looks += 1
        await asyncio.Event().wait()
        return self.views[attempt_id]


def test_a_job_in_the_middle_of_a_look_is_free_when_the_process_has_ended(mesh: Mesh) -> None:
    mesh.settings = mesh.settings.model_copy(update={"lease_s": 600.0})
    mesh.restart()
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.stop()
    thoughtful = Thoughtful()
    mesh.peers = Peers({**mesh.peers.workers, "training": thoughtful}, mesh.stream)
    mesh.restart()
    eventually(lambda: thoughtful.looks)
    now = mesh.wiring.clock.now()
    mesh.stop()
    another = Lease("another", now, now + timedelta(seconds=1))
    (held,) = mesh.start_units().write(lambda uow: uow.jobs.claim([job_id], another))
    assert held.job.job_id == job_id
