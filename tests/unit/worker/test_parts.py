"""The small parts of a worker: lock, environment, counters, output, failures."""

import errno
from pathlib import Path

import pytest

from shared.contracts.failures import FailureClass, Reason
from shared.kit.errors import NotFound
from shared.worker.attempt import UserFault
from shared.worker.engine import failed
from shared.worker.environment import engine_environment
from shared.worker.executors.local import absolute_store
from shared.worker.folder import AttemptFolder, read_json
from shared.worker.liveness import holding, is_held
from shared.worker.oom import read_kills
from shared.worker.store import AttemptStore


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not is_held(lock)
    with holding(lock) as is_ours:
        assert is_ours
        assert is_held(lock)
        with holding(lock) as is_twice:
            assert not is_twice
    assert not is_held(lock)


def test_engines_see_an_allow_list(tmp_path: Path) -> None:
    own = {"PATH": "/bin", "IMTS_SERVICE_SECRET": "x", "PYTHONPATH": "/evil", "AWS_REGION": "eu", "LD_PRELOAD": "y"}
    seen = engine_environment(own, tmp_path, ["AWS_REGION", "ABSENT"])
    assert seen["PATH"] == "/bin"
    assert seen["AWS_REGION"] == "eu"
    assert seen["HF_HUB_OFFLINE"] == "1"
    assert seen["HF_HOME"].startswith(str(tmp_path))
    assert not {"IMTS_SERVICE_SECRET", "PYTHONPATH", "LD_PRELOAD", "ABSENT"} & set(seen)


def test_a_store_is_the_same_from_every_folder() -> None:
    assert absolute_store("s3://bucket/x") == "s3://bucket/x"
    assert absolute_store("data/artifacts") == str(Path("data/artifacts").absolute())


def test_counters_that_cannot_be_read_count_nothing() -> None:
    assert read_kills("0::/nowhere\n1:memory:/nowhere") >= 0
    assert read_kills("nonsense") == 0


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00"])
def test_a_damaged_file_reads_as_absent(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    assert read_json(path) is None


@pytest.mark.parametrize(
    ("fault", "failure_class", "reason", "retryable"),
    [
        (UserFault(Reason.NO_QUESTIONS, "add rows"), FailureClass.USER, "no_questions", False),
        (NotFound("gone", code="artifact_not_found"), FailureClass.PLATFORM, "artifact_not_found", False),
        (OSError(errno.ENOSPC, "full"), FailureClass.INFRASTRUCTURE, "disk_full", True),
        (MemoryError(), FailureClass.INFRASTRUCTURE, "out_of_memory_host", True),
        (type("OutOfMemoryError", (RuntimeError,), {})("x"), FailureClass.USER, "out_of_memory_gpu", False),
        (ValueError("odd"), FailureClass.UNKNOWN, "engine_failed", True),
    ],
)
def test_exceptions_have_a_class(fault: Exception, failure_class: FailureClass, reason: str, retryable: bool) -> None:
    failure = failed(fault, {}, Path("/data/jobs/job-1")).failure
    assert failure is not None
    assert (failure.failure_class, failure.reason, failure.retryable) == (failure_class, reason, retryable)


@pytest.mark.parametrize("text", ["a", "你好", "aé你😀", "\ufffd"])
def test_output_slices_never_cut_a_character(tmp_path: Path, text: str) -> None:
    folder = AttemptFolder(tmp_path / "jobs" / "job-1" / "1")
    folder.path.mkdir(parents=True)
    folder.stdout.write_text(text, encoding="utf-8")
    store = AttemptStore(tmp_path)
    for limit in range(4, 12):
        read, offset = "", 0
        while chunk := store.read_output(folder, offset, limit)[0]:
            read, offset = read + chunk.decode("utf-8"), offset + len(chunk)
        assert read == text


def test_output_that_is_no_text_is_passed_on(tmp_path: Path) -> None:
    folder = AttemptFolder(tmp_path / "jobs" / "job-1" / "1")
    folder.path.mkdir(parents=True)
    folder.stdout.write_bytes(b"\xff\xff\xff\xff\xff\xf0")
    folder.exit.write_text("{}")
    assert AttemptStore(tmp_path).read_output(folder, 0, 100) == (b"\xff\xff\xff\xff\xff\xf0", True)
