"""Makes plans for the service: a process each, so many at once, none for longer than it may take."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from services.training.settings import TrainingSettings
from shared.contracts.plans import PlanCall, TrainingPlan
from shared.kit.errors import RateLimited, Unavailable
from shared.kit.logs import logger
from shared.worker.devices.choice import first_of
from shared.worker.environment import cache_of, own_engine_environment
from shared.worker.executors.local import absolute_store

_MODULE = "services.training.planning.process"
_ANSWER = "plan.json"
"""The name of a plan in the folder that its process was given."""
_AT_ONCE = 2
_TAIL = 2_000


class Planner:
    """Lives in the event loop."""

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self._at_work = 0

    async def plan(self, call: PlanCall) -> TrainingPlan:
        """RateLimited when as many as may are being made, Unavailable when it takes too long or its process died."""
        if self._at_work >= _AT_ONCE:
            raise RateLimited(f"{_AT_ONCE} plans are being made already", code="planning_busy", retry_after_s=5)
        self._at_work += 1
        try:
            with tempfile.TemporaryDirectory(prefix="plan-", dir=cache_of(self._settings)) as folder:
                return await self._plan_in(Path(folder), call)
        finally:
            self._at_work -= 1

    async def _plan_in(self, folder: Path, call: PlanCall) -> TrainingPlan:
        (folder / "work").mkdir()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", _MODULE, str(folder), absolute_store(self._settings.artifacts),
            str(cache_of(self._settings)), str(os.getpid()), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=first_of(own_engine_environment(self._settings)),
            start_new_session=True,
        )  # fmt: skip
        within_s = self._settings.planning_timeout_s
        try:
            async with asyncio.timeout(within_s):
                output, _ = await process.communicate(call.model_dump_json().encode())
        except TimeoutError:
            raise Unavailable(f"the plan took longer than {within_s:g} s", code="planning_timeout") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        answer = folder / _ANSWER
        if not answer.exists():
            logger.warning(
                "a plan's process ended with {}: {}", process.returncode, output[-_TAIL:].decode("utf-8", "replace")
            )
            raise Unavailable("the process that made the plan died", code="planning_failed")
        return TrainingPlan.model_validate_json(answer.read_bytes())
