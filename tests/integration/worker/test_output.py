"""An attempt that prints without end fills no disk, and its log is searched where it lies."""

from typing import Any

from shared.contracts.work import AttemptSpec, AttemptState
from tests.integration.worker.conftest import WorkerFactory, WorkerProcess, attempt_spec
from tests.waiting import eventually

MIB = 1 << 20
TRACEBACK = "[WARNING|engine] memory is short\nTraceback (most recent call last):\n  File x\nValueError: the end"


def done(worker: WorkerProcess, **spec: Any) -> AttemptSpec:
    attempt = attempt_spec(events=2, **spec)
    assert worker.put(attempt).status_code == 201
    eventually(lambda: worker.view(attempt).state, lambda state: state is AttemptState.ENDED, within_s=60)
    return attempt


def test_a_flood_of_output_is_capped_and_read_over_the_gap(start_worker: WorkerFactory) -> None:
    worker = start_worker(output_bytes=2 * MIB)
    spec = done(worker, prints=100_000)
    folder = worker.folder(spec)
    assert folder.stdout.stat().st_size > 9 * MIB
    assert folder.stdout.stat().st_blocks * 512 <= 3 * MIB
    pages: list[dict[str, Any]] = []
    offset = 0
    while not pages or not pages[-1]["isComplete"]:
        query = {"offset": offset, "limit": 256 * 1024}
        pages.append(worker.http.get(f"/jobs/{spec.attempt_id}/log", params=query).json())
        offset = pages[-1]["nextOffset"]
    text = "".join(page["text"] for page in pages)
    assert "\0" not in text
    assert "line 00000000" in text
    assert "line 00099999" in text
    assert len(text) < 3 * MIB


def test_lines_are_found_by_words_and_level(start_worker: WorkerFactory) -> None:
    worker = start_worker()
    spec = done(worker, prints=50, says=TRACEBACK)

    def lines(**query: Any) -> list[str]:
        found = worker.http.get(f"/jobs/{spec.attempt_id}/log/lines", params=query).json()
        assert found["isComplete"] is True
        return [line["text"] for line in found["data"]]

    assert lines(level="warning") == TRACEBACK.splitlines()
    assert lines(level="error") == TRACEBACK.splitlines()[1:]
    assert lines(search="LINE 00000007") == [f"[INFO|engine] line 00000007 of many, padded to a round length{'.' * 40}"]
    assert worker.http.get(f"/jobs/{spec.attempt_id}/log/lines", params={"level": "loud"}).status_code == 422
