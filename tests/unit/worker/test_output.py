"""Output is kept within bounds without moving a byte, and read line by line with its levels."""

from pathlib import Path

import pytest

from shared.contracts.log_lines import LineQuery, LogLevel
from shared.worker.log_lines import find_lines, level_of
from shared.worker.output import OutputCap, hole_in

MIB = 1 << 20
LINE = 64


def numbered(count: int, start: int = 0) -> bytes:
    return b"".join(
        f"line {number:09}".encode().ljust(LINE - 1, b".") + b"\n" for number in range(start, start + count)
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "stdout.log"


@pytest.fixture
def hole(tmp_path: Path) -> Path:
    return tmp_path / "hole.json"


def append(log: Path, text: bytes) -> None:
    with log.open("ab") as stream:
        stream.write(text)


def kept(log: Path) -> int:
    return log.stat().st_blocks * 512


def test_what_is_small_is_kept_whole(log: Path, hole: Path) -> None:
    append(log, numbered(1000))
    OutputCap(log, hole, 2 * MIB).hold()
    assert hole_in(hole) == (0, 0)


def test_a_flood_keeps_its_beginning_and_its_newest_at_their_places(log: Path, hole: Path) -> None:
    cap = OutputCap(log, hole, 2 * MIB)
    for part in range(10):
        append(log, numbered(MIB // LINE, part * MIB // LINE))
        cap.hold()
        assert kept(log) <= 2 * MIB
    begin, end = hole_in(hole)
    assert log.stat().st_size == 10 * MIB
    content, whole = log.read_bytes(), numbered(10 * MIB // LINE)
    assert (content[:begin], content[end:]) == (whole[:begin], whole[end:])
    assert begin >= MIB // 2
    assert 10 * MIB - end >= MIB // 2


def test_lines_are_found_on_both_sides_of_the_hole(log: Path, hole: Path) -> None:
    cap = OutputCap(log, hole, 2 * MIB)
    append(log, numbered(10 * MIB // LINE))
    cap.hold()
    begin, end = hole_in(hole)
    found, offset, is_end = [], 0, False
    while not is_end:
        lines, offset, is_end = find_lines(log, hole, LineQuery(offset=offset, limit=1000), is_final=True)
        found += lines
    assert [line.offset for line in found] == [*range(0, begin, LINE), *range(end, 10 * MIB, LINE)]
    assert all(line.text == f"line {line.offset // LINE:09}".ljust(LINE - 1, ".") for line in found)


def test_a_line_in_the_making_waits_until_it_is_final(log: Path, hole: Path) -> None:
    append(log, b"whole\nhalf")
    for is_final, texts, offset in ((False, ["whole"], 6), (True, ["whole", "half"], 10)):
        lines, found, is_end = find_lines(log, hole, LineQuery(), is_final=is_final)
        assert ([line.text for line in lines], found, is_end) == (texts, offset, True)


def test_lines_are_chosen_by_words_and_by_level(log: Path, hole: Path) -> None:
    append(log, b"[INFO|x] Loading MODEL\n[WARNING|x] model is old\n\xff\xfe odd bytes\nplain model\n")
    query = LineQuery(search="model", level=LogLevel.WARNING)
    lines, _, _ = find_lines(log, hole, query, is_final=True)
    assert [(line.level, line.text) for line in lines] == [("warning", "[WARNING|x] model is old")]
    assert len(find_lines(log, hole, LineQuery(search="MODEL"), is_final=True)[0]) == 3


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("[INFO|trainer.py:2414] 2026-01-01 10:00:00,000 >> ***** Running training *****", LogLevel.INFO),
        ("[WARNING|2026-01-01T10:00:00+00:00] rows left out", LogLevel.WARNING),
        ("2026-01-01 10:00:00,123 ERROR it broke", LogLevel.ERROR),
        ("/x/y.py:3: UserWarning: that is odd", LogLevel.WARNING),
        ("Traceback (most recent call last):", LogLevel.ERROR),
        ("torch.OutOfMemoryError: CUDA out of memory", LogLevel.ERROR),
        ("ValueError: no", LogLevel.ERROR),
        ("DEBUG: details", LogLevel.DEBUG),
        ("{'loss': 0.5}", LogLevel.INFO),
        ("no ERROR at all", LogLevel.ERROR),
        ("the INFORMATION desk", LogLevel.INFO),
        ("", LogLevel.INFO),
    ],
)
def test_a_line_tells_its_level(text: str, level: LogLevel) -> None:
    assert level_of(text, LogLevel.INFO) is level


def test_a_line_that_is_set_in_belongs_to_the_one_before() -> None:
    assert level_of('  File "x.py", line 3', LogLevel.ERROR) is LogLevel.ERROR
    assert level_of("next", LogLevel.ERROR) is LogLevel.INFO
