"""What becomes of a project's old logs."""

from typing import Annotated, Literal

from pydantic import Field

from shared.contracts.base import Int, WireModel


class RetentionPolicy(WireModel):
    """Done to each job's and run's log once it has ended for `after_days`; a log that goes on is never touched."""

    action: Literal["keep", "thin", "delete"] = "keep"
    """`keep` everything; `thin`: curves and the last event stay; `delete` the whole log."""
    after_days: Annotated[Int, Field(ge=0, le=36_500)] = 30
    """0: at the next sweep. Without meaning for `keep`."""
