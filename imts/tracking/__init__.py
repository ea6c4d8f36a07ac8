"""Any trainer, live in IMTS: `run = imts.start(name="mine"); run.log({"train_loss": 0.1}, step=1); run.finish()`."""

from imts.tracking.resending import Resent, resend
from imts.tracking.run import Run
from imts.tracking.starting import start

__all__ = ["Resent", "Run", "resend", "start"]
