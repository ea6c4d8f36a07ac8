"""Commands are written down once, in order, and survive whoever wrote them."""

from pathlib import Path

import pytest

from shared.contracts.commands import Action, Command
from shared.contracts.work import Control
from shared.kit.errors import Conflict, NotFound
from shared.worker.commands import NAME, append_command, read_commands
from tests.unit.worker.test_worker import Bench

FIRST, SECOND = (Command(command_id=f"cmd-{number:026d}", action=Action.CHECKPOINT) for number in (1, 2))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def told(bench: Bench, attempt_id: str) -> list[str]:
    return [one["command_id"] for one in read_commands(bench.store.folder(attempt_id).work / NAME)]


def test_each_is_kept_once_in_its_order(bench: Bench) -> None:
    spec = bench.spec()
    bench.worker.accept(spec)
    for command in (FIRST, SECOND, FIRST):
        bench.worker.command(spec.attempt_id, command)
    assert told(bench, spec.attempt_id) == [FIRST.command_id, SECOND.command_id]


def test_one_that_was_cut_short_by_a_crash_is_none(tmp_path: Path) -> None:
    path = tmp_path / NAME
    append_command(path, FIRST.model_dump(mode="json"))
    with path.open("a") as stream:
        stream.write('{"command_id": "cmd-')
    assert [one["command_id"] for one in read_commands(path)] == [FIRST.command_id]
    assert append_command(path, SECOND.model_dump(mode="json"))
    assert [one["command_id"] for one in read_commands(path)] == [FIRST.command_id, SECOND.command_id]


def test_an_attempt_that_is_about_to_end_takes_none(bench: Bench) -> None:
    spec = bench.spec()
    bench.worker.accept(spec)
    bench.worker.control(spec.attempt_id, Control.PAUSE)
    with pytest.raises(Conflict, match="about to end"):
        bench.worker.command(spec.attempt_id, FIRST)
    with pytest.raises(NotFound):
        bench.worker.command(bench.spec().attempt_id, FIRST)


def test_a_job_takes_a_thousand_and_no_more(bench: Bench) -> None:
    spec = bench.spec()
    bench.worker.accept(spec)
    lines = "".join(f'{{"command_id": "cmd-{number:026d}"}}\n' for number in range(1000))
    (bench.store.folder(spec.attempt_id).work / NAME).write_text(lines)
    with pytest.raises(Conflict, match="1000"):
        bench.worker.command(spec.attempt_id, FIRST.model_copy(update={"command_id": "cmd-" + "z" * 26}))
