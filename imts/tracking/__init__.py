"""Any trainer, live in IMTS: `run = imts.start(name="mine"); run.log({"train_loss": 0.1}, step=1); run.finish()`."""

from imts.tracking.run import Run
from imts.tracking.starting import start

__all__ = ["Run", "start"]
