"""Whose fault it is, read from what a dead engine left behind."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.failures import FailureClass, Reason
from shared.contracts.training import TrainingSpec
from shared.contracts.work import Failure
from shared.kit.errors import NotFound, PeerUnavailable, ServerFault
from shared.worker.attempt import UserFault
from shared.worker.failures.case import Case, Fault, Line, Remains
from shared.worker.failures.diagnosis import diagnose
from shared.worker.failures.evidence import LONGEST_TEXT, MOST_ITEMS
from shared.worker.failures.faults import faults_of
from shared.worker.failures.gathering import gather
from shared.worker.failures.redaction import redact
from shared.worker.failures.remedies import patch_for
from shared.worker.folder import AttemptFolder
from tests.unit.worker.failure_cases import CASES, CODE_1, traceback

NAMED_BY_ENGINES = {
    "no_trainable_rows", "cutoff_too_short", "no_questions", "template_mismatch", "full_on_adapter",
    "operation_unknown", "loss_not_finite", "option_unsupported", "target_refused",
}  # fmt: skip
CONCLUDED_BY_THE_ORCHESTRATOR = {
    Reason.QUEUE_TIMEOUT,
    Reason.RUN_TIMEOUT,
    Reason.NO_PROGRESS,
    Reason.DEPENDENCY_FAILED,
    "no_model_made",
    "worker_refused",
}
TESTED_BELOW = {"loss_diverged", "stopped_by_user", "artifact_not_found", "artifact_damaged", "service_error"}
SPEC = TrainingSpec(model_name="tiny", dataset="rows").model_dump(mode="json")


def died(
    folder: Path, log: str = "", remains: Remains = CODE_1, own_word: dict[str, Any] | None = None,
    events: list[dict[str, Any]] | None = None, *, was_stopped: bool = False,
) -> Failure:  # fmt: skip
    """What is told of an attempt that left this."""
    attempt = AttemptFolder(folder / "jobs" / "job-1" / "1")
    attempt.path.mkdir(parents=True)
    attempt.stdout.write_text(log)
    attempt.spec.write_text(json.dumps({"spec": SPEC}))
    lines = (json.dumps({"seq": number, **event}) for number, event in enumerate(events or [], 1))
    attempt.events.write_text("".join(f"{line}\n" for line in lines))
    return Failure.model_validate(diagnose(gather(attempt, remains, own_word, was_stopped=was_stopped)))


def loss(value: float | None, step: int) -> dict[str, Any]:
    """A logging step; None is what a loss that is no number becomes on the wire."""
    lost = {"non_finite": ["train_loss"]} if value is None else {}
    data = {"step": step, "total_steps": 9, "train_loss": value, **lost}
    return {"event_type": "metrics_update", "timestamp": "2026-01-01T00:00:00+00:00", "data": data}


@pytest.mark.parametrize(("reason", "log", "remains"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)])
def test_the_reason_is_read_from_what_the_engine_left(tmp_path: Path, reason: str, log: str, remains: Remains) -> None:
    failure = died(tmp_path, f"attempt begins\n{log}", remains)
    known = Reason(reason)  # type: ignore[call-arg]
    assert failure.reason == reason, failure
    assert (failure.failure_class, failure.retryable) == (known.failure_class, known.retryable)
    assert failure.suggestion is not None
    assert failure.suggestion.advice == known.advice
    assert failure.message.startswith(known.means) or known is Reason.ENGINE_FAILED
    assert failure.evidence or remains == Remains()
    assert "/srv" not in failure.model_dump_json()


def test_every_reason_has_a_case() -> None:
    covered = {case[0] for case in CASES} | NAMED_BY_ENGINES | CONCLUDED_BY_THE_ORCHESTRATOR | TESTED_BELOW
    assert covered == set(Reason)
    assert len({case[0] for case in CASES}) >= 25


def test_a_users_fault_is_never_retryable_and_every_class_has_reasons() -> None:
    assert not [reason for reason in Reason if reason.failure_class is FailureClass.USER and reason.retryable]
    assert {reason.failure_class for reason in Reason} == set(FailureClass)


@pytest.mark.parametrize(
    ("exception", "reason"),
    [
        (UserFault(Reason.NO_QUESTIONS, "add questions"), "no_questions"),
        (NotFound("gone", code="artifact_not_found"), "artifact_not_found"),
        (ServerFault("artifact x is damaged in the store", code="artifact_damaged"), "artifact_damaged"),
        (PeerUnavailable("stream did not answer"), "peer_unavailable"),
        (ServerFault("no"), "service_error"),
        (OSError(28, "No space left on device"), "disk_full"),
        (OSError(27, "File too large"), "disk_full"),
        (MemoryError(), "out_of_memory_host"),
        (ConnectionResetError(104, "Connection reset by peer"), "network_failed"),
        (TimeoutError("the judge took too long"), "timed_out"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."), "out_of_memory_gpu"),
        (ValueError("odd"), "engine_failed"),
    ],
)
def test_an_engine_names_its_exception_by_the_same_table(exception: Exception, reason: str) -> None:
    named = exception.reason if isinstance(exception, UserFault) else Reason.ENGINE_FAILED
    assert diagnose(Case(faults=faults_of(exception), named=named))["reason"] == reason


def test_the_cause_of_an_exception_counts_when_it_says_more() -> None:
    fault = RuntimeError("could not save")
    fault.__cause__ = OSError(28, "No space left on device")
    assert diagnose(Case(faults=faults_of(fault)))["reason"] == "disk_full"
    fault.__cause__ = None
    fault.__context__, fault.__suppress_context__ = OSError(28, "full"), True
    assert diagnose(Case(faults=faults_of(fault)))["reason"] == "engine_failed"


def test_an_earlier_traceback_that_was_only_logged_does_not_count(tmp_path: Path) -> None:
    log = traceback("OSError: [Errno 28] No space left on device") + "went on elsewhere\n" * 5
    assert died(tmp_path, log + traceback("RuntimeError: odd")).reason == "engine_failed"


def test_a_row_of_data_that_quotes_an_error_does_not_count(tmp_path: Path) -> None:
    printed = "inputs:\nuser: RuntimeError: CUDA out of memory. Why?\nassistant: No space left on device\n"
    assert died(tmp_path, printed, Remains(code=3)).reason == "engine_exited"


def test_what_the_engine_named_itself_stands_with_its_words(tmp_path: Path) -> None:
    own = {"reason": "no_trainable_rows", "message": "no row of the train data set can be trained on"}
    failure = died(tmp_path, traceback("shared.worker.attempt.UserFault: no row"), own_word=own)
    assert (failure.reason, failure.message) == (own["reason"], own["message"])


def test_a_name_from_another_version_is_looked_into(tmp_path: Path) -> None:
    failure = died(tmp_path, traceback("MemoryError"), own_word={"reason": "brand_new", "message": "m"})
    assert failure.reason == "out_of_memory_host"


def test_a_loss_that_rose_first_has_diverged(tmp_path: Path) -> None:
    own = {"reason": "loss_not_finite", "message": "the loss is nan at step 4"}
    risen = died(tmp_path / "a", own_word=own, events=[loss(2.3, 1), loss(9.1, 2), loss(640.0, 3), loss(None, 4)])
    assert risen.reason == "loss_diverged"
    assert risen.suggestion is not None
    assert risen.suggestion.patch == {"learningRate": 1e-5, "warmupRatio": 0.1}
    assert [(item.source, item.figures["step"]) for item in risen.evidence if item.source == "event"] == [("event", 4)]
    sudden = died(tmp_path / "b", own_word=own, events=[loss(2.3, 1), loss(2.2, 2), loss(None, 3)])
    assert sudden.reason == "loss_not_finite"


def test_a_stop_is_the_users_own(tmp_path: Path) -> None:
    failure = died(tmp_path, remains=Remains(signal=15), was_stopped=True)
    assert (failure.reason, failure.failure_class) == ("stopped_by_user", FailureClass.USER)


def test_evidence_says_where_it_is_from(tmp_path: Path) -> None:
    log = "你好\n" + traceback(
        "RuntimeError: [Errno 28] No space left on device: '/x/jobs/job-1/work/checkpoints/a.pt'"
    )
    failure = died(tmp_path, log, Remains(code=1, oom_kills=1, peak_memory_bytes=2**30), events=[loss(2.0, 3)])
    by_source = {item.source: item for item in failure.evidence}
    assert set(by_source) == {"exit", "cgroup", "log", "event"}
    assert by_source["exit"].figures == {"code": 1, "peak_memory_bytes": 2**30}
    assert by_source["event"].figures == {"step": 3, "total_steps": 9, "train_loss": 2.0}
    offset = by_source["log"].offset
    assert offset is not None
    assert log.encode()[offset:].startswith(b"RuntimeError: [Errno 28]")


def test_paths_are_told_from_the_jobs_folder_and_no_further() -> None:
    folder = "/var/lib/imts/training/jobs/job-1"
    told = redact(
        f"'{folder}/checkpoints/a b.pt' /srv/other/x.json /v/lib/site-packages/torch/serialization.py", folder, 999
    )
    assert told == "'checkpoints/a b.pt' …/x.json torch/serialization.py"
    assert redact(f"{folder}", folder, 999) == "."
    assert redact("and/or 3/4 step 1/2", folder, 999) == "and/or 3/4 step 1/2"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefghijklmnop", "api_key=abcdefghijklmnop", "HF_TOKEN: 'abcdefghijklmnop'",
        '{"password": "abcdefghijklmnop"}', "sk-abcdefghijklmnop", "hf_abcdefghijklmnop",
        "https://anna:abcdefghijklmnop@host/x", "GET https://host/x?sig=abcdefghijklmnop",
        "AWS_SECRET=abcdefghijklmnop",
        "eyJabcdefghijklmnop.eyJx.sig",
    ],
)  # fmt: skip
def test_secrets_are_taken_out(text: str) -> None:
    assert "abcdefghijklmnop" not in redact(text, "/jobs/job-1", 999)


def test_the_vocabulary_of_training_is_no_secret() -> None:
    text = "eos_token: </s>, tokenizer=tiny, num_tokens=12, 12 tokens per second"
    assert redact(text, "/jobs/job-1", 999) == text


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("batch", [1, 3, 4])
def test_a_patched_spec_is_still_a_spec(reason: Reason, batch: int) -> None:
    before = {**SPEC, "batchSize": batch, "gradientAccumulationSteps": 4096, "cutoffLen": 8}
    assert TrainingSpec.model_validate({**before, **patch_for(reason, before)})
    assert patch_for(reason, {}) == {}


def test_less_memory_costs_no_rows_per_step() -> None:
    assert patch_for(Reason.OUT_OF_MEMORY_GPU, SPEC) == {"batchSize": 2, "gradientAccumulationSteps": 2}
    assert patch_for(Reason.OUT_OF_MEMORY_GPU, {**SPEC, "batchSize": 1}) == {"cutoffLen": 512}


TEXTS = st.text(st.sampled_from(string.printable + "é你\x00\x1b"), max_size=400)


@given(
    texts=st.lists(TEXTS, max_size=5),
    code=st.none() | st.integers(-5, 300),
    number=st.none() | st.integers(0, 90),
    data=st.dictionaries(
        st.sampled_from(
            ["step", "train_loss", "rows", "message", "non_finite", "batchSize", "cutoffLen", "learningRate"]
        ),
        st.none() | st.integers() | st.floats() | TEXTS | st.lists(st.integers() | TEXTS),
    ),
    timestamp=TEXTS,
    named=st.none() | st.sampled_from(list(Reason)),
)
def test_any_remains_at_all_become_a_failure_within_bounds(
    texts: list[str], code: int | None, number: int | None, data: dict[str, Any], timestamp: str, named: Reason | None
) -> None:
    case = Case(
        faults=tuple(Fault((text[:9] or "E",), text) for text in texts), remains=Remains(code=code, signal=number),
        log=tuple(Line(0, text) for text in texts), message="".join(texts), spec=data, named=named,
        events=(
            {"event_type": "metrics_update", "timestamp": timestamp, "data": data},
            {"event_type": "log", "timestamp": timestamp, "data": {**data, "level": "error"}},
        ),
    )  # fmt: skip
    failure = Failure.model_validate_json(json.dumps(diagnose(case)))
    for reason in Reason:
        json.dumps(patch_for(reason, data), allow_nan=False)
    assert len(failure.evidence) <= MOST_ITEMS
    assert all(len(item.text) <= LONGEST_TEXT for item in failure.evidence)
