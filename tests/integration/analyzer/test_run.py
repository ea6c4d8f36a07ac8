"""A whole analysis, in this process, on planted faults with known truth and on data that others made."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from services.analyzer.engine import run
from shared.contracts.base import JsonObject
from shared.contracts.work import JobKind
from shared.kit.artifacts import ArtifactStore
from shared.worker.attempt import Attempt, UserFault
from tests.attempts import attempt_spec, chat, events_of, open_attempt, put_model, put_rows
from tests.foreign_data import foreign_data

_WORDS = ["".join(random.Random(seed).choices("abcdefghijklmnop", k=7)) for seed in range(1_500)]


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path / "artifacts"), tmp_path / "cache")


def _attempt(
    folder: Path, store: ArtifactStore, rows: list[JsonObject], test: list[JsonObject] | None = None, **spec: Any
) -> Attempt:
    datasets = {"train": put_rows(store, "rows", rows)}
    if test is not None:
        datasets["test"] = put_rows(store, "asked", test)
    return open_attempt(folder, attempt_spec(JobKind.ANALYSIS, {"dataset": "rows", **spec}, datasets), store)


def _findings(result: JsonObject) -> dict[str, Any]:
    found: Any = result["findings"]
    return {finding["kind"]: finding for finding in found}


def _sentences(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(_WORDS, k=24)) for _ in range(count)]


def _alpaca(path: Path) -> list[JsonObject]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [chat(f"{row['instruction']}\n{row.get('input', '')}".strip(), row["output"]) for row in rows]


def test_clean_rows_are_healthy(tmp_path: Path, store: ArtifactStore) -> None:
    rows = [chat(text, text[::-1]) for text in _sentences(500, seed=1)]
    result = run(_attempt(tmp_path, store, rows, [chat(text, "x") for text in _sentences(100, seed=2)])).result
    assert result["healthScore"] == 100.0
    assert result["findings"] == []
    assert result["rows"] == 500


def test_planted_faults_are_found_exactly_and_make_the_score_fall(tmp_path: Path, store: ArtifactStore) -> None:
    texts = _sentences(400, seed=3)
    rows = [chat(text, "yes") for text in texts]
    rows += [chat(text.upper() + " ", "Yes") for text in texts[:40]]
    rows += [chat(f"{text} indeed", "yes") for text in texts[40:90]]
    rows += [chat(f"empty {index}", " ") for index in range(10)]
    test = [chat(text, "no") for text in [*texts[100:120], *_sentences(80, seed=4)]]
    test += [chat(f"{text} please", "no") for text in texts[120:130]]

    result = run(_attempt(tmp_path, store, rows, test)).result

    found = _findings(result)
    assert found["duplicate_rows"]["rows"] == list(range(401, 441))
    assert found["near_duplicate_rows"]["rows"] == list(range(441, 491))
    assert found["empty_rows"]["rows"] == list(range(491, 501))
    assert found["test_overlap"]["rows"] == list(range(101, 121))
    assert found["near_test_overlap"]["rows"] == list(range(121, 131))
    score = result["healthScore"]
    assert isinstance(score, float)
    assert 30.0 < score < 60.0


def test_a_finding_names_at_most_as_many_rows_as_asked_and_counts_all(tmp_path: Path, store: ArtifactStore) -> None:
    attempt = _attempt(tmp_path, store, [chat("again", "and again")] * 50, maxRowsPerFinding=7)
    duplicates = _findings(run(attempt).result)["duplicate_rows"]
    assert (duplicates["count"], duplicates["rows"]) == (49, [2, 3, 4, 5, 6, 7, 8])


def test_the_report_pairs_what_belongs_together(tmp_path: Path, store: ArtifactStore) -> None:
    rows = [chat("one", "1"), chat("two", "2"), chat("ONE", "1")]
    artifact = run(_attempt(tmp_path, store, rows, [chat("two", "?")])).artifacts[0]
    report = json.loads(store.read_bytes(artifact.sha256))
    found = _findings(report)
    assert artifact.name == "report.json"
    assert found["duplicate_rows"]["details"] == [{"rows": [1, 3]}]
    assert found["test_overlap"]["details"] == [{"row": 2, "testRow": 1, "similarity": 1.0}]
    assert report["profile"]["roles"] == {"user": 3, "assistant": 3}


def test_progress_reaches_the_end(tmp_path: Path, store: ArtifactStore) -> None:
    attempt = _attempt(tmp_path, store, [chat(f"q{index}", "a") for index in range(300)], [chat("t", "a")] * 50)
    run(attempt)
    said = [event["data"] for event in events_of(attempt) if event["event_type"] == "progress"]
    assert len(said) <= 101
    assert said[-1] == {"done": 350, "total": 350, "what": "reading test rows"}


def _word_model(folder: Path) -> Path:
    """A model folder whose tokenizer has one token a word."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_lengths_are_counted_by_the_models_own_tokenizer(tmp_path: Path, store: ArtifactStore) -> None:
    rows = [chat("word " * 9, "end") for _ in range(3)] + [chat("word " * 30, "end")]
    spec = attempt_spec(
        JobKind.ANALYSIS, {"dataset": "rows", "cutoffLen": 10}, {"train": put_rows(store, "rows", rows)},
        {"tokenizer": put_model(store, "words", _word_model(tmp_path / "words"))},
    )  # fmt: skip
    result = run(open_attempt(tmp_path, spec, store)).result
    lengths: Any = result["lengths"]
    assert (lengths["unit"], lengths["p50"], lengths["max"]) == ("tokens", 10, 31)
    assert _findings(result)["over_long_rows"]["rows"] == [4]


def test_a_model_without_a_tokenizer_is_the_users_fault(tmp_path: Path, store: ArtifactStore) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_text("{}")
    spec = attempt_spec(
        JobKind.ANALYSIS, {"dataset": "rows"}, {"train": put_rows(store, "rows", [chat("a", "b")])},
        {"tokenizer": put_model(store, "bare", tmp_path / "bare")},
    )  # fmt: skip
    with pytest.raises(UserFault) as caught:
        run(open_attempt(tmp_path, spec, store))
    assert caught.value.reason == "tokenizer_missing"


def test_real_instruction_sets_are_healthy_and_their_languages_told_apart(tmp_path: Path, store: ArtifactStore) -> None:
    english = _alpaca(foreign_data("llamafactory-demo/alpaca_en_demo.json"))
    chinese = _alpaca(foreign_data("llamafactory-demo/alpaca_zh_demo.json"))
    result = run(_attempt(tmp_path, store, english + chinese)).result
    languages: Any = result["languages"]
    score: Any = result["healthScore"]
    assert languages["en"] >= len(english)
    assert languages["zh"] >= 0.97 * len(chinese)
    assert languages["en"] + languages["zh"] == len(english) + len(chinese)
    assert score > 95


def _mmlu(name: str) -> tuple[list[str], list[str]]:
    folder = foreign_data("contamination")
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        questions = [line[0] for line in csv.reader(stream)]
    lines = (folder / f"{name}_rephrase_english_filtered_question.jsonl").read_text(encoding="utf-8").splitlines()
    return questions, [text for line in lines if (text := json.loads(line)["text"].strip())]


def test_copied_test_questions_are_all_found(tmp_path: Path, store: ArtifactStore) -> None:
    questions, _ = _mmlu("abstract_algebra_test")
    copied = [question.upper().replace(" ", "  ") for question in questions[::2]]
    attempt = _attempt(tmp_path, store, [chat(text, "A") for text in copied], [chat(text, "A") for text in questions])
    assert _findings(run(attempt).result)["test_overlap"]["count"] == len(copied)


def test_lexical_search_finds_few_rephrased_questions_and_we_say_so(tmp_path: Path, store: ArtifactStore) -> None:
    """Rephrases share meaning, not words: of 96, 0 are found at 0.8 and 45 at 0.3. Meaning needs another tool."""
    questions, rephrased = _mmlu("abstract_algebra_test")
    rows, test = [chat(text, "A") for text in rephrased], [chat(text, "A") for text in questions]
    strict = _findings(run(_attempt(tmp_path / "strict", store, rows, test)).result)
    loose = _findings(run(_attempt(tmp_path / "loose", store, rows, test, nearDuplicateThreshold=0.3)).result)
    assert "near_test_overlap" not in strict
    assert loose["near_test_overlap"]["count"] >= 40
