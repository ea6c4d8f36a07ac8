"""Where a job stands in line: priority is a head start, and everyone ages at the same pace."""

from datetime import datetime, timedelta

HEAD_START = timedelta(minutes=10)
"""What one step of priority is worth."""


def turn_of(since: datetime, priority: int) -> datetime:
    """The job's place in line, earliest first; `since` is when it began to wait.

    Its weight is priority + waited / HEAD_START. All weights grow alike, so the order of two jobs never changes: it
    can be kept in an indexed column, and only what was submitted within 20 head starts can ever pass a job.
    """
    return since - priority * HEAD_START
