"""Which of a step's events counts, when attempts repeat steps and an evaluation adds to them."""

import json
from collections.abc import Sequence

from services.stream.log.entries import Record, job_of
from shared.contracts.events import Event


def newest_of_step(records: Sequence[Record]) -> Event:
    """One event for the step: what its newest attempt said about it, later values over earlier ones."""
    newest = max(record.attempt or 0 for record in records)
    mine = [record for record in records if (record.attempt or 0) == newest]
    last = mine[-1]
    merged = {key: value for record in mine for key, value in json.loads(record.data).items()}
    return Event(
        seq=last.seq, event_type=last.event_type, job_id=job_of(last.topic), attempt=last.attempt,
        timestamp=last.timestamp, data=merged,
    )  # fmt: skip
