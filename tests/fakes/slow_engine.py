"""An engine that takes `maxSteps` steps of 20 ms, writes an event each, and leaves a model."""

import signal
import time

from shared.worker.attempt import Attempt, Result

_STEP_S = 0.02


def run(attempt: Attempt) -> Result:
    """Step until done or asked to end."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    steps = attempt.spec.spec.get("maxSteps") or 3000
    assert isinstance(steps, int)
    for step in range(1, steps + 1):
        attempt.emit("metrics_update", {"step": step, "total_steps": steps, "train_loss": 1 / step})
        time.sleep(_STEP_S)
        control = attempt.control() if asked else None
        if control is not None:
            return Result.of_control(control)
    return Result(result={"model": {"name": "made", "adapter": "b" * 64, "template": "default", "parameters": 7}})
