"""Any order of appends and seals, in groups of any size, against a model that is a few dictionaries."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import select

from services.stream.log import tables
from services.stream.log.access import Access
from services.stream.log.entries import Entry
from services.stream.log.numbering import Append, Seal, Write
from services.stream.log.reading import LogReader
from services.stream.log.transaction import apply
from services.stream.wiring import MIGRATIONS
from shared.kit.migrations import migrate
from shared.kit.sql import Database, open_engine

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOPICS = ["job:a", "job:b", "project:c", "project:d"]
PRODUCERS = ["p", "q", "orchestrator"]


@dataclass
class Model:
    """What the log should hold."""

    logs: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: {topic: [] for topic in TOPICS})
    accepted: dict[tuple[str, str], int] = field(default_factory=dict)
    seals: dict[tuple[str, str], int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    projects: dict[str, str] = field(default_factory=dict)

    def append(self, run: Append) -> str:
        """Event by event, as the design says it."""
        key = run.topic, run.producer
        assert run.first_seq is not None
        seal = self.seals.get(key, 10**9)
        if run.first_seq > seal:
            return "producer_sealed"
        if run.first_seq > self.accepted.get(key, 0) + 1:
            return "sequence_gap"
        for number, entry in enumerate(run.entries, run.first_seq):
            if number <= self.accepted.get(key, 0) and number <= seal:
                continue
            if number > seal or run.topic in self.ended:
                return "producer_sealed"
            self.accepted[key] = number
            self.logs[run.topic].append((run.producer, number))
            if entry.ends_topic:
                self.ended.add(run.topic)
            if entry.news:
                self._tell(run.topic, entry)
        return ""

    def _tell(self, topic: str, entry: Entry) -> None:
        project = self.projects.get(topic) or entry.project
        if project:
            self.projects[topic] = project
            self.logs[f"project:{project}"].append((topic.removeprefix("job:"), len(self.logs[topic])))

    def seal(self, wish: Seal) -> str:
        key = wish.topic, wish.producer
        self.seals.setdefault(key, max(wish.at, self.accepted.get(key, 0)))
        return ""


@st.composite
def _appends(draw: st.DrawFn) -> Append:
    topic, count = draw(st.sampled_from(TOPICS)), draw(st.integers(1, 4))
    is_last = topic.startswith("job:") and draw(st.integers(0, 14)) == 0
    tells = st.sampled_from([None, None, "c", "d"]) if topic.startswith("job:") else st.none()
    entries = tuple(
        Entry("log", None, None, NOW, "{}", is_last and place == count - 1, None, project, project and "{}")
        for place, project in enumerate(draw(st.lists(tells, min_size=count, max_size=count)))
    )
    return Append(topic, draw(st.sampled_from(PRODUCERS)), draw(st.integers(1, 9)), entries)


_seals = st.builds(Seal, st.sampled_from(TOPICS), st.sampled_from(PRODUCERS), st.integers(0, 12))


class LogMachine(RuleBasedStateMachine):
    """Drives the real transaction and the model side by side."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self.engine = open_engine(f"sqlite:///{Path(folder) / 'log.db'}", 2)
        self._stack.callback(self.engine.dispose)
        migrate(self.engine, MIGRATIONS)
        self.database = Database(self.engine)
        self.reader = LogReader(Access(self.database))
        self.model = Model()

    def teardown(self) -> None:
        self._stack.close()

    @rule(writes=st.lists(st.one_of(_appends(), _appends(), _appends(), _seals), min_size=1, max_size=5))
    def commit(self, writes: list[Write]) -> None:
        committed = self.database.write(lambda session: apply(session, writes))
        for write, outcome in zip(writes, committed.outcomes, strict=True):
            expected = self.model.append(write) if isinstance(write, Append) else self.model.seal(write)
            assert (outcome.fault.code if outcome.fault else "") == expected
        for records in committed.records.values():
            assert [record.seq for record in records] == list(range(records[0].seq, records[-1].seq + 1))

    def _sources(self, topic: str) -> list[tuple[str, int]]:
        table = tables.events
        query = select(table.c.producer, table.c.producer_seq).where(table.c.topic == topic).order_by(table.c.seq)
        return self.database.read(lambda session: [(row[0], row[1]) for row in session.execute(query)])

    @invariant()
    def the_log_is_what_the_model_says(self) -> None:
        for topic, expected in self.model.logs.items():
            records, _ = self.reader.page(topic, 0, 1000)
            assert [record.seq for record in records] == list(range(1, len(expected) + 1))
            assert self._sources(topic) == expected
            position = self.reader.position(topic)
            assert (position.last_seq, position.is_ended) == (len(expected), topic in self.model.ended)
        for topic in TOPICS:
            for producer in PRODUCERS:
                mark = self.reader.mark(topic, producer)
                assert mark.accepted_through == self.model.accepted.get((topic, producer), 0)
                assert mark.sealed_at == self.model.seals.get((topic, producer))


TestLogMachine = LogMachine.TestCase
TestLogMachine.settings = settings(
    max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
