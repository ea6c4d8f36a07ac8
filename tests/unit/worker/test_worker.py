"""A worker's rules, over an executor that only takes notes."""

from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict

from shared.contracts.devices import Device, DeviceKind
from shared.contracts.work import AttemptSpec, AttemptState, Control, JobKind, Outcome, Progress, Resources
from shared.kit.errors import Conflict, InvalidRequest, RateLimited
from shared.kit.ids import new_id
from shared.worker.devices.allotment import Allotment, visible_to
from shared.worker.devices.gauge import DeviceGauge
from shared.worker.folder import AttemptFolder, ControlFile
from shared.worker.settings import WorkerSettings
from shared.worker.store import AttemptStore
from shared.worker.worker import Worker
from tests.conftest import SERVICE_SECRET
from tests.fakes.clock import FakeClock


class TestSettings(WorkerSettings):
    """Settings that no environment changes."""

    __test__ = False
    model_config = SettingsConfigDict(env_prefix="UNUSED_", frozen=True, extra="ignore")


class NotingExecutor:
    """Starts nothing; processes die at once or live, as told."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.lives = True

    def start(self, folder: AttemptFolder) -> None:
        self.started.append(folder.attempt_id)

    def adopt(self, folder: AttemptFolder) -> bool:
        return False

    def list(self) -> set[str]:
        return set(self.started) if self.lives else set()

    def signal(self, folder: AttemptFolder, asked: ControlFile) -> None:
        folder.write_control(asked)

    def bury(self, folder: AttemptFolder) -> None:
        return

    def spares(self) -> int:
        return 0

    def upkeep(self, *, is_busy: bool) -> None:
        return

    def close(self) -> None:
        return


class Bench:
    """A worker with its executor and what it told."""

    def __init__(self, folder: Path, devices: list[Device] | None = None) -> None:
        settings = TestSettings(service_secret=SERVICE_SECRET, data_dir=folder, slots=2)
        self.executor = NotingExecutor()
        self.told: list[str] = []
        self.store = AttemptStore(folder)
        self.worker = Worker(
            settings, frozenset({JobKind.TRAINING}), self.store, self.executor, FakeClock(),
            lambda folder: self.told.append(folder.attempt_id), lambda _: Progress(),
            Allotment(DeviceGauge(FakeClock(), lambda: devices or [])),
        )  # fmt: skip

    def spec(self, job_id: str = "", number: int = 1, kind: JobKind = JobKind.TRAINING) -> AttemptSpec:
        job_id = job_id or new_id("job")
        return AttemptSpec(attempt_id=f"{job_id}.{number}", job_id=job_id, number=number, kind=kind, spec={})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_processes_that_die_before_they_begin_are_started_three_times(bench: Bench) -> None:
    spec = bench.spec()
    bench.worker.accept(spec)
    bench.executor.lives = False
    for _ in range(5):
        bench.worker.tick()
    assert bench.executor.started == [spec.attempt_id] * 3
    report = bench.worker.result(spec.attempt_id)
    assert report.failure is not None
    assert (report.outcome, report.failure.reason) == (Outcome.FAILED, "not_started")
    assert bench.told == [spec.attempt_id] * 2
    assert bench.worker.is_idle()


def test_a_stop_before_the_beginning_is_the_end(bench: Bench) -> None:
    spec = bench.spec()
    bench.worker.accept(spec)
    assert bench.worker.view(spec.attempt_id).state is AttemptState.ACCEPTED
    bench.worker.control(spec.attempt_id, Control.STOP)
    assert bench.worker.result(spec.attempt_id).outcome is Outcome.STOPPED
    bench.worker.control(spec.attempt_id, Control.PAUSE)
    assert bench.worker.result(spec.attempt_id).outcome is Outcome.STOPPED


def test_a_stop_overrules_a_pause_but_not_the_other_way(bench: Bench) -> None:
    spec = bench.spec()
    bench.worker.accept(spec)
    folder = bench.store.find(spec.attempt_id)
    folder.shepherd.write_text('{"pid": 1, "engine_pid": 2, "started_at": "2026-01-01T00:00:00Z"}')
    for wish, expected in [
        (Control.PAUSE, "pause"),
        (Control.PREEMPT, "pause"),
        (Control.STOP, "stop"),
        (Control.PAUSE, "stop"),
    ]:
        bench.worker.control(spec.attempt_id, wish)
        asked = folder.read_control()
        assert asked is not None
        assert asked["control"] == expected


def test_a_worker_takes_only_its_kinds_and_honest_ids(bench: Bench) -> None:
    with pytest.raises(InvalidRequest, match="does not run"):
        bench.worker.accept(bench.spec(kind=JobKind.ANALYSIS))
    spec = bench.spec().model_copy(update={"number": 2})
    with pytest.raises(InvalidRequest, match="attempt_id must be"):
        bench.worker.accept(spec)
    assert list(bench.store.unfinished()) == []


def test_the_trace_of_a_repeat_may_differ_its_body_may_not(bench: Bench) -> None:
    spec = bench.spec()
    assert bench.worker.accept(spec)
    assert not bench.worker.accept(spec.model_copy(update={"traceparent": "00-1-1-01"}))
    with pytest.raises(Conflict, match="another body"):
        bench.worker.accept(spec.model_copy(update={"spec": {"epochs": 2}}))
    assert bench.executor.started == [spec.attempt_id]


def test_a_new_process_takes_up_what_is_unfinished(bench: Bench, tmp_path: Path) -> None:
    spec = bench.spec()
    bench.worker.accept(spec)
    again = Bench(tmp_path)
    assert [folder.attempt_id for folder in again.worker.recover()] == [spec.attempt_id]
    assert again.worker.capacity().free == 1
    again.worker.tick()
    assert again.executor.started == [spec.attempt_id]


def test_attempts_get_gpus_of_their_own_also_from_a_service_that_was_restarted(tmp_path: Path) -> None:
    gpus = [
        Device(kind=DeviceKind.CUDA, index=index, name="GPU", total_bytes=80 << 30, free_bytes=free << 30)
        for index, free in enumerate((10, 70, 40))
    ]
    bench = Bench(tmp_path, gpus)
    one, two, none = (bench.spec().model_copy(update={"resources": Resources(gpus=count)}) for count in (1, 2, 0))

    def seen(spec: AttemptSpec) -> str:
        return visible_to(bench.store.folder(spec.attempt_id))["CUDA_VISIBLE_DEVICES"]

    assert bench.worker.accept(one)
    assert seen(one) == "1"
    capacity = bench.worker.capacity()
    assert (capacity.gpus, capacity.free_gpus, len(capacity.devices)) == (3, 2, 4)
    again = Bench(tmp_path, gpus)
    again.worker.recover()
    assert again.worker.accept(two)
    assert seen(two) == "0,2"
    again.worker.control(one.attempt_id, Control.STOP)
    assert again.worker.capacity().free_gpus == 1
    assert again.worker.accept(none)
    assert seen(none) == "1", "who asks for none shares the freest that nobody was promised"
    with pytest.raises(RateLimited):
        again.worker.accept(again.spec().model_copy(update={"resources": Resources(gpus=2)}))
