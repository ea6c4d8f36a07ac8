"""Data sets go in once, through a real server, and are answered by name, version and id."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.operations import datasets
from tests.foreign_data import foreign_data
from tests.integration.orchestrator.registry import MAX_UPLOAD, Registry, problem_of, running_registry

ALPACA = '{"instruction": "2+2?", "output": "4"}\n{"instruction": "2+3?", "output": "5"}\n'


@pytest.fixture
def registry(database_url: str, tmp_path: Path) -> Iterator[Registry]:
    with running_registry(database_url, tmp_path / "orchestrator") as running:
        yield running


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """On SQLite only and shared by the module, for what the database has no part in."""
    with running_registry("", tmp_path_factory.mktemp("orchestrator")) as running:
        yield running


def test_an_upload_is_answered_by_name_version_and_id(registry: Registry) -> None:
    answer = registry.upload(ALPACA)
    assert answer.status_code == 201
    view = answer.json()
    assert (view["name"], view["version"], view["rows"], view["format"]) == ("numbers", 1, 2, "alpaca")
    assert answer.headers["location"] == f"/api/datasets/{view['datasetId']}"
    for reference in ("numbers", "numbers@1", view["datasetId"]):
        assert registry.user.get(f"/api/datasets/{reference}").json() == view
    assert registry.leftovers() == []


def test_the_same_rows_are_the_same_version_and_other_rows_the_next(registry: Registry) -> None:
    first = registry.upload(ALPACA).json()
    as_array = json.dumps([json.loads(line) for line in ALPACA.splitlines()])
    assert registry.upload(as_array, filename="other.json").json() == first
    second = registry.upload(ALPACA.splitlines()[0]).json()
    assert (second["version"], second["rows"]) == (2, 1)
    assert registry.upload(ALPACA).json() == first
    assert registry.user.get("/api/datasets/numbers").json() == second
    elsewhere = registry.upload(ALPACA, name="Numbers").json()
    assert (elsewhere["version"], elsewhere["sha256"]) == (1, first["sha256"])


def test_versions_made_at_the_same_time_get_their_own_numbers(registry: Registry) -> None:
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda n: registry.upload(f'{{"text": "{n % 6}"}}'), range(12)))
    assert {answer.status_code for answer in answers} == {201}
    views = [answer.json() for answer in answers]
    assert sorted({view["version"] for view in views}) == [1, 2, 3, 4, 5, 6]
    assert len({view["datasetId"] for view in views}) == 6


def test_the_list_is_paged_newest_first(registry: Registry) -> None:
    made = [registry.upload(f'{{"text": "{n}"}}', name=f"set-{n}").json()["datasetId"] for n in range(5)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for has_more in (True, True, False):
        page = registry.user.get("/api/datasets", params={"limit": 2, **cursor}).json()
        assert page["hasMore"] is has_more
        seen += [view["datasetId"] for view in page["data"]]
        cursor = {"cursor": page.get("nextCursor") or ""}
    assert sorted(seen) == sorted(made)
    assert seen == sorted(seen, reverse=True)
    assert problem_of(registry.user.get("/api/datasets", params={"cursor": "../x"}), 422)["param"] == "cursor"
    assert problem_of(registry.user.get("/api/datasets", params={"limit": 0}), 422)["param"] == "limit"


def test_rows_come_in_slices(alone: Registry) -> None:
    alone.upload("".join(f'{{"text": "{n}"}}\n' for n in range(25)), name="slices")
    page = alone.user.get("/api/datasets/slices/rows", params={"offset": 10, "limit": 10}).json()
    assert page == {"data": [{"text": str(n)} for n in range(10, 20)], "offset": 10, "nextOffset": 20}
    last = alone.user.get("/api/datasets/slices/rows", params={"offset": 20}).json()
    assert (len(last["data"]), last["nextOffset"]) == (5, None)
    assert alone.user.get("/api/datasets/slices/rows", params={"offset": 99}).json()["data"] == []


def test_large_rows_make_shorter_slices(alone: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_SLICE_BYTES", 2_500)
    alone.upload("".join(json.dumps({"text": "x" * size}) + "\n" for size in (1000, 1000, 1000, 9000)), name="large")
    pages = [alone.user.get("/api/datasets/large/rows", params={"offset": offset}).json() for offset in (0, 2, 3)]
    assert [(len(page["data"]), page["nextOffset"]) for page in pages] == [(2, 2), (1, 3), (1, None)]


def test_what_is_not_there_is_not_found(alone: Registry) -> None:
    alone.upload(ALPACA, name="one")
    for reference in ("nothing", "one@2", "one@99999999999999999999", "one@best", "ds-" + "0" * 26):
        problem = problem_of(alone.user.get(f"/api/datasets/{reference}"), 404)
        assert problem["code"] == "dataset_not_found"


NAMES = [
    "../x", "/etc/passwd", "..%2fx", "..\\x", "a;/../b", "a\0b", "a\r\nX: 1", "-rf", "a b", "x" * 300, "file:///etc",
    "https://evil/d", "REMOTE:evil/d", "", ".", "名", "ds-" + "0" * 26, "a@1",
]  # fmt: skip


def _all(registry: Registry) -> list[str]:
    return [view["datasetId"] for view in registry.user.get("/api/datasets", params={"limit": 200}).json()["data"]]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_a_path_or_worse_is_refused(alone: Registry, name: str) -> None:
    before = _all(alone)
    assert problem_of(alone.upload(ALPACA, name=name), 422)["param"] == "name"
    assert _all(alone) == before


def _stored(registry: Registry) -> list[Path]:
    return sorted((registry.folder / "artifacts").rglob("*"))


def test_bad_files_are_refused_and_leave_nothing(alone: Registry) -> None:
    before = _all(alone), _stored(alone)
    cases: list[tuple[bytes | str, str, int, str]] = [
        ("", "a.jsonl", 422, "empty"), ("a,a\n1,2\n", "a.csv", 422, "twice"), ("text\n1,2\n", "a.csv", 422, "row 1"),
        ('{"text": 1}', "a.jsonl", 422, "row 1: `text`"), (b"PAR1" + bytes(64), "a.parquet", 422, "damaged"),
        ('{"prompt": "<image>", "output": "", "images": ["/etc/passwd"]}', "a.jsonl", 422, "`images[0]` is a path"),
        ('{"script_url": "https://evil"}', "../../etc/passwd", 422, "no known form"),
    ]  # fmt: skip
    for content, filename, status, why in cases:
        problem = problem_of(alone.upload(content, filename=filename), status)
        assert why in problem["message"]
        assert problem["param"] == "file"
    assert (_all(alone), _stored(alone)) == before
    assert alone.leftovers() == []


def test_a_form_field_that_is_missing_wrong_or_unknown_is_named(alone: Registry) -> None:
    post = alone.user.post
    file = {"file": ("a.jsonl", ALPACA)}
    assert problem_of(post("/api/datasets", files=file), 422)["param"] == "name"
    assert problem_of(post("/api/datasets", data={"name": "x"}, files={"other": ("", "")}), 422)["param"] == "file"
    assert (
        problem_of(post("/api/datasets", data={"name": "x", "file": "text"}, files={"y": "z"}), 422)["param"] == "file"
    )
    assert problem_of(alone.upload(ALPACA, format="parquet"), 422)["param"] == "format"
    assert problem_of(alone.upload(ALPACA, fromat="text"), 422)["param"] == "fromat"
    assert problem_of(post("/api/datasets", json={"name": "x"}), 415)["param"] == "Content-Type"
    torn = {"content-type": "multipart/form-data; boundary=x"}
    assert problem_of(post("/api/datasets", content=b"--x\r\nnonsense", headers=torn), 400)
    assert problem_of(post("/api/datasets", content=b"x", headers={"content-type": "multipart/form-data"}), 400)


def test_an_upload_cut_short_leaves_nothing(alone: Registry) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nhalf\r\n--x\r\n'
    part = b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{"text": "half'
    answer = alone.user.post(
        "/api/datasets", content=head + part, headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert "cut short" in problem_of(answer, 400)["message"]
    assert alone.user.get("/api/datasets/half").status_code == 404


def test_an_upload_past_the_limit_is_refused_with_or_without_its_length(alone: Registry) -> None:
    large = b'{"text": "' + b"x" * (MAX_UPLOAD + 1) + b'"}'
    assert problem_of(alone.upload(large), 413)["code"] == "too_large"

    def chunks() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
        for _ in range(MAX_UPLOAD // 65536 + 2):
            yield b"y" * 65536

    answer = alone.user.post(
        "/api/datasets", content=chunks(), headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert problem_of(answer, 413)["code"] == "too_large"
    assert alone.leftovers() == []


def test_a_caller_without_a_key_reads_and_writes_nothing(alone: Registry) -> None:
    nobody = {"authorization": "Bearer wrong"}
    assert alone.user.get("/api/datasets", headers=nobody).status_code == 401
    answer = alone.user.post("/api/datasets", files={"file": ("a", ALPACA)}, data={"name": "x"}, headers=nobody)
    assert answer.status_code == 401


def test_every_demo_file_of_llama_factory_goes_in_or_says_why(alone: Registry) -> None:
    taken = {}
    for path in sorted(foreign_data("llamafactory-demo").glob("*.json*")):
        answer = alone.upload(path.read_bytes(), name=path.stem, filename=path.name)
        taken[path.stem] = answer.json().get("format") or answer.json()["error"]["param"]
    assert taken == {
        "alpaca_en_demo": "alpaca", "alpaca_zh_demo": "alpaca", "identity": "alpaca", "c4_demo": "text",
        "dpo_en_demo": "preference", "kto_en_demo": "kto", "glaive_toolcall_en_demo": "sharegpt",
        "mllm_demo": "file", "dataset_info": "file",
    }  # fmt: skip
