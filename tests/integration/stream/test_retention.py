"""What retention takes, what it leaves, and what whoever comes back is told, on each database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest

from services.stream.log.retention import Due, write_policy
from services.stream.log.thinning import shorten
from shared.contracts.retention import RetentionPolicy
from shared.kit.errors import NotFound, PreconditionFailed, ProducerSealed
from tests.integration.stream.client import new_job
from tests.integration.stream.logs import CURVES, Book, figures, move, now


def test_a_log_is_kept_until_its_project_says_otherwise_and_time_has_come(book: Book) -> None:
    old, other = book.job(new_job(), "mine", 10), book.job(new_job(), "yours", 10)
    assert book.sweep(days=10_000) == 0
    book.rule("mine", "delete", after_days=7)
    assert book.sweep(days=6.9) == 0
    assert len(book.events(old)) == 13
    assert book.sweep(days=7.1) == 1
    with pytest.raises(NotFound, match="deleted, with its job or under its project's retention policy"):
        book.events(old)
    assert len(book.events(other)) == 13
    book.rule("yours", "keep", after_days=0)
    assert book.sweep(days=7.1) == 0


@pytest.mark.parametrize("action", ["delete", "thin"])
def test_a_log_that_goes_on_is_never_touched(book: Book, action: str) -> None:
    live = book.job(new_job(), "p", 1_500, ends=False)
    nobodys = f"job:{new_job()}"
    book.append(nobodys, "x", [figures(1)])
    book.rule("p", action, after_days=0)
    before = [book.events(topic) for topic in (live, nobodys, "project:p")]
    assert book.sweep(days=10_000) == 0
    for turn in (Due(live, "delete"), Due(live, "thin"), Due("project:p", "delete"), Due(nobodys, "thin")):
        list(shorten(book.log, turn, now() + timedelta(days=10_000)))
    assert [book.events(topic) for topic in (live, nobodys, "project:p")] == before
    book.append(live, "orchestrator", [move("succeeded", "p")])
    assert book.sweep(days=1) == 1


def test_a_thinned_log_begins_with_compacted_and_ends_as_it_did(book: Book) -> None:
    topic = book.job(new_job(), "p", 2_500)
    whole = book.events(topic)
    book.rule("p", "thin")
    assert book.sweep(days=8) == 1
    left = book.events(topic)
    assert [(event.seq, event.event_type) for event in left] == [(2_502, "compacted"), (2_503, "phase_changed")]
    assert left[0].data == {"through": 2_502}
    assert left[1] == whole[-1]
    for cursor, seqs in ((0, [2_502, 2_503]), (1_000, [2_502, 2_503]), (2_501, [2_502, 2_503]), (2_502, [2_503])):
        assert [event.seq for event in book.events(topic, cursor)] == seqs
    assert book.events(topic, 2_503) == []
    assert book.sweep(days=8) == 0


def test_figures_of_a_thinned_log_still_draw_as_before(book: Book) -> None:
    job = new_job()
    topic = book.job(job, "p", 0, ends=False)
    book.append(topic, "a", [figures(step) for step in range(0, 3_000, 3)])
    book.append(topic, "b", [figures(step, attempt=2, val_loss=step / 2) for step in range(1_500, 2_100, 3)])
    book.append(topic, "b", [figures(1_800, attempt=2, train_loss=None, note="x" * 50, ok=True)])
    book.append(topic, "orchestrator", [move("failed", "p")])
    points = book.reader.history(job, -1, 10**9, 10_000)
    drawn = [book.drawn(topic, count) for count in (1, 500, 5_000)]
    cut = book.drawn(topic, 10, 301, 2_399)
    current = book.reader.current(job)
    book.rule("p", "thin")
    assert book.sweep(days=8) == 1
    assert [book.drawn(topic, count) for count in (1, 500, 5_000)] == drawn
    assert sum(bucket.points for bucket in book.drawn(topic, 10, 301, 2_399)["train_loss"]) == sum(
        bucket.points for bucket in cut["train_loss"]
    )
    assert book.reader.current(job) == current
    left = book.reader.history(job, -1, 10**9, 10_000)
    assert [event.data["step"] for event in left.data] == [event.data["step"] for event in points.data]
    for after, before in zip(left.data, points.data, strict=True):
        kept = {key: value for key, value in before.data.items() if key not in {"note", "ok"} and value is not None}
        assert after.data == kept
    page = book.reader.history(job, 1_499, 1_520, 5, ("val_loss",))
    assert [event.data for event in page.data] == [
        {"step": step, "val_loss": step / 2} for step in (1_500, 1_503, 1_506, 1_509, 1_512)
    ]
    assert page.has_more


def test_a_long_run_is_thinned_to_its_extremes(book: Book) -> None:
    topic = book.job(new_job(), "p", 0, ends=False)
    book.append(topic, "a", [figures(step, train_loss=float((step * 7919) % 10_007)) for step in range(0, 90_000, 40)])
    book.append(topic, "orchestrator", [move("failed", "p")])
    before = book.drawn(topic, 10)
    book.rule("p", "thin")
    book.sweep(days=8)
    after = book.drawn(topic, 10)
    for key in CURVES:
        assert sum(bucket.points for bucket in after[key]) == sum(bucket.points for bucket in before[key]) == 2_250
        assert min(bucket.low for bucket in after[key]) == min(bucket.low for bucket in before[key])
        assert max(bucket.high for bucket in after[key]) == max(bucket.high for bucket in before[key])
        assert len(after[key]) <= 10


def test_a_log_without_figures_is_thinned_as_well(book: Book) -> None:
    job = new_job()
    topic = book.job(job, "p", 0)
    book.rule("p", "thin")
    book.sweep(days=8)
    assert [event.event_type for event in book.events(topic)] == ["compacted", "phase_changed"]
    assert book.reader.history(job, -1, 10**9, 10).data == []
    assert book.drawn(topic, 10) == {}
    only_end = f"job:{new_job()}"
    book.append(only_end, "orchestrator", [move("stopped", "p")])
    assert book.sweep(days=8) == 1
    assert [event.event_type for event in book.events(only_end)] == ["phase_changed"]


def test_a_thinned_log_knows_its_producers_and_a_deleted_one_refuses_them(book: Book) -> None:
    job = new_job()
    topic = book.job(job, "p", 20)
    book.rule("p", "thin")
    book.sweep(days=8)
    book.append(topic, f"{job}.1", [figures(step) for step in range(20)], first_seq=1)
    assert isinstance(book.refusal(topic, f"{job}.1", [figures(20)], first_seq=21), ProducerSealed)
    book.rule("p", "delete")
    assert book.sweep(days=8) == 1
    assert book.reader.mark(topic, f"{job}.1").accepted_through == 0
    for first_seq in (1, 5, 21):
        fault = book.refusal(topic, f"{job}.1", [figures(0)], first_seq=first_seq)
        assert isinstance(fault, ProducerSealed)
        assert fault.details == {"is_ended": True, "is_deleted": True}
    assert isinstance(book.refusal(topic, "orchestrator", [move("queued", "q")]), ProducerSealed)
    assert [event.data["to"] for event in book.events("project:p")] == ["queued", "running", "succeeded"]
    assert book.events("project:q") == []
    for look in (book.reader.current, partial(book.reader.history, after=-1, until=9, limit=9)):
        with pytest.raises(NotFound):
            look(job)
    with pytest.raises(NotFound):
        book.drawn(topic, 10)


def test_of_many_writers_who_read_the_same_policy_one_wins(book: Book) -> None:
    def write(days: int) -> bool:
        policy = RetentionPolicy(action="thin", after_days=days)
        ours = partial(write_policy, project="p", policy=policy, now=now(), if_match='"keep-30"')
        try:
            book.log.write(ours)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(100, 116))) == 1
