"""Wire forms of an event."""

import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from services.stream.frames import encode, sse_end
from services.stream.log.admission import admit
from services.stream.log.entries import Record
from shared.contracts.events import Event, NewEvent

MOMENT = datetime(2026, 1, 1, 2, 30, tzinfo=timezone(timedelta(hours=2)))
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_texts, _values, max_size=4))
def test_whatever_the_data_is_each_wire_carries_exactly_one_event_that_reads_back(data: dict[str, object]) -> None:
    [entry] = admit("job:x", [NewEvent.model_validate({"event_type": "log", "timestamp": MOMENT, "data": data})])
    frame = encode(Record("job:x", 7, entry.event_type, 2, entry.timestamp, entry.data))
    lines = frame.sse.decode().split("\n")
    assert lines[:2] == ["id: 7", "event: log"]
    assert lines[3:] == ["", ""]
    assert "\r" not in frame.sse.decode()
    event = Event.model_validate_json(frame.body)
    assert json.loads(frame.body)["data"] == data
    assert (event.seq, event.attempt, event.job_id) == (7, 2, "x")
    assert event.timestamp == MOMENT
    message = json.loads(frame.message("job:x"))
    assert (message["message_type"], message["event"], message["topic"]) == ("training_event", "log", "job:x")
    assert message["data"] == data


def test_only_a_jobs_terminal_phase_ends_its_topic() -> None:
    def ends(topic: str, event_type: str, data: str) -> bool:
        return encode(Record(topic, 1, event_type, None, MOMENT.astimezone(UTC), data)).ends_topic

    assert ends("job:x", "phase_changed", '{"to":"succeeded"}')
    assert not ends("job:x", "phase_changed", '{"to":"paused"}')
    assert not ends("job:x", "log", '{"to":"succeeded"}')
    assert not ends("project:x", "phase_changed", '{"to":"failed"}')


def test_the_end_has_no_id_so_that_a_client_keeps_its_place() -> None:
    assert sse_end(9) == b'event: stream_end\ndata: {"last_seq": 9}\n\n'
