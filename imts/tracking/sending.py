"""Sending a journal to the log: in order, once each, whatever is refused or repeated."""

import os
import re
from collections.abc import Callable, Mapping

from imts.client import Client
from imts.client.errors import ClientError, ImtsApiError
from imts.client.transport import Transport
from imts.remembered import find_connection
from imts.tracking.unsent import Unsent
from shared.contracts.events import AppendRequest, ProducerMark, job_topic

_TIMEOUT_S = 10.0
_PLACE = re.compile(r"events\.([0-9]+)")


def open_log(environ: Mapping[str, str] = os.environ) -> Transport:
    """The stream service of the mesh that the environment, or the last `imts up`, names."""
    found = find_connection(environ)
    stream_url = environ.get("IMTS_STREAM_URL")
    if not stream_url:
        with Client(found.url, found.key, timeout_s=_TIMEOUT_S) as client:
            stream_url = client.stream_url()
    return Transport(stream_url, found.key, _TIMEOUT_S)


class LogIsClosed(Exception):
    """The log takes nothing more of this run: it has ended, or somebody sealed it."""


class Delivery:
    """One run's way into the log; each call is one request."""

    def __init__(self, run_id: str, unsent: Unsent, connect: Callable[[], Transport] = open_log) -> None:
        self._run_id = run_id
        self._unsent = unsent
        self._connect = connect
        self._log: Transport | None = None
        self.sent = 0
        self.is_closed = False

    def _open(self) -> Transport:
        """A connection to the log, which has said how much of this run it has."""
        log = self._connect()
        path = f"/v1/topics/{job_topic(self._run_id)}/producers/{self._run_id}"
        try:
            self._unsent.acknowledge(log.get(path, ProducerMark).accepted_through)
        except ClientError:
            log.close()
            raise
        return log

    def step(self) -> bool:
        """Send the next batch; False when there was nothing to send. ClientError: try again later."""
        events = self._unsent.batch()
        if events and self._log is None:
            self._log = self._open()
            events = self._unsent.batch()
        if self._log is None or not events:
            return False
        request = AppendRequest(producer=self._run_id, first_seq=self._unsent.acknowledged + 1, events=events)
        body = request.model_dump(mode="json", exclude_none=True)
        try:
            mark = self._log.post(f"/v1/topics/{job_topic(self._run_id)}/events", ProducerMark, body)
        except ImtsApiError as fault:
            self._settle(fault)
        else:
            self.sent += len(events)
            self._unsent.acknowledge(mark.accepted_through)
        return True

    def _settle(self, fault: ImtsApiError) -> None:
        """Make the next try succeed, or raise what only time or a person can mend."""
        if fault.code == "producer_sealed":
            self.is_closed = True
            raise LogIsClosed from fault
        if fault.code == "sequence_gap":
            self._unsent.acknowledge(int(str((fault.details or {})["expected"])) - 1)
        elif fault.status in {403, 413, 422} and (found := _PLACE.match(fault.param or "")):
            if not self._unsent.replace(int(found[1]), fault.message):
                raise fault
        else:
            raise fault

    def close(self) -> None:
        """Give the connection back."""
        if self._log is not None:
            self._log.close()
