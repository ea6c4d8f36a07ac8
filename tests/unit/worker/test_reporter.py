"""What the reporter knows of an attempt without having sent anything yet."""

from pathlib import Path

import pytest

from shared.kit.auth import ServiceTokens
from shared.kit.clock import SystemClock
from shared.kit.peer import PeerClient
from shared.worker.folder import AttemptFolder
from shared.worker.journal import append_event
from shared.worker.reporter import Reporter
from tests.conftest import SERVICE_SECRET


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_an_ended_attempt_tells_its_last_figures_before_they_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "job-1" / "1"
    path.mkdir(parents=True)
    folder = AttemptFolder(path)
    stream = PeerClient("stream", "http://127.0.0.1:9", ServiceTokens("training", SERVICE_SECRET))
    reporter = Reporter(stream, SystemClock(), lambda _: None, lambda _: None)
    for step in (1, 2, 3):
        append_event(folder.events, step, "metrics_update", {"step": step, "total_steps": 3})
    reporter.follow(folder)
    assert reporter.progress(folder).step is None
    folder.exit.write_text("{}")
    assert (reporter.progress(folder).step, reporter.progress(folder).fraction) == (3, 1.0)
    await stream.close()
