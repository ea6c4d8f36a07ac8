"""What of a run lies where, and who may touch it."""

from pathlib import Path

import pytest

from imts.tracking import inbox, journal
from imts.tracking.inbox import Inbox, inbox_path
from imts.tracking.journal import Journal, append_for_the_dead, is_writer_alive
from imts.tracking.turn import sending_turn


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the machine's memory."""
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(inbox, "_MEMORY", folder)
    return folder


def test_what_is_written_reaches_the_disk_from_where_the_disk_ends(tmp_path: Path) -> None:
    written = Journal.create(tmp_path, "run-x")
    written.append(b"one\n")
    assert written.path.read_bytes() == b""
    first = Inbox(written.path)
    first.collect()
    written.append(b"two\n")
    first.collect()
    first.close()
    # A sender that died in the middle of a write.
    with written.path.open("r+b") as disk:
        disk.truncate(6)
    written.append(b"three\n")
    second = Inbox(written.path)
    second.collect()
    assert written.path.read_bytes() == b"one\ntwo\nthree\n"
    second.remove()
    assert not inbox_path(written.path).exists()
    written.close()


def test_memory_is_given_back_once_its_content_is_on_the_disk(tmp_path: Path) -> None:
    written = Journal.create(tmp_path, "run-x")
    lines = b"".join(b"%06d" % number + b"x" * 993 + b"\n" for number in range(2000))
    written.append(lines)
    sender = Inbox(written.path)
    sender.collect()
    assert inbox_path(written.path).stat().st_blocks * 512 < 300_000
    written.append(b"the end\n")
    sender.collect()
    assert written.path.read_bytes() == lines + b"the end\n"
    sender.close()
    written.close()


def test_memory_that_nobody_empties_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_INBOX_BYTES", 1_000_000)
    written = Journal.create(tmp_path, "run-x")
    for _ in range(255):
        written.append(b"x" * 9_999 + b"\n")
    for _ in range(2):
        with pytest.raises(OSError, match="nobody takes its events"):
            written.append(b"more\n")
    Inbox(written.path).collect()
    written.append(b"there is room again\n")
    written.close()


def test_without_memory_the_disk_is_written_at_once(tmp_path: Path, memory: Path) -> None:
    memory.rmdir()
    written = Journal.create(tmp_path, "run-x")
    written.append(b"one\n")
    Inbox(written.path).collect()
    assert written.path.read_bytes() == b"one\n"
    written.close()


def test_the_word_that_ends_a_run_finds_room_in_a_journal_that_is_full(tmp_path: Path) -> None:
    written = Journal.create(tmp_path, "run-x", max_bytes=10)
    written.append(b"123456789\n")
    with pytest.raises(OSError, match="as large as it may get"):
        written.append(b"more\n")
    written.append(b"the end\n", is_last=True)
    Inbox(written.path).collect()
    assert written.path.read_bytes() == b"123456789\nthe end\n"
    written.close()


def test_a_writer_is_alive_while_it_holds_its_files(tmp_path: Path, memory: Path) -> None:
    written = Journal.create(tmp_path, "run-x")
    assert is_writer_alive(written.path)
    # As seen from a container that shares the folder, but not the memory.
    memory.rename(tmp_path / "elsewhere")
    assert is_writer_alive(written.path)
    written.close()
    assert not is_writer_alive(written.path)


def test_a_torn_line_is_closed_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "run-x.jsonl"
    path.write_bytes(b'one\n{"torn')
    append_for_the_dead(path, b"the end\n")
    append_for_the_dead(path, b"after\n")
    assert path.read_bytes() == b'one\n{"torn\nthe end\nafter\n'


def test_the_turn_is_free_again_when_its_holder_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "run-x.jsonl"
    path.touch()
    with sending_turn(path) as is_first, sending_turn(path) as is_second:
        assert (is_first, is_second) == (True, False)
    with sending_turn(path) as is_ours:
        assert is_ours
        path.unlink()
    assert list(tmp_path.glob("run-*")) == []
