"""The content-addressed store keeps bytes, folders, and nothing outside its folders."""

import json
from pathlib import Path

import pytest

from shared.kit.artifacts import ArtifactStore
from shared.kit.errors import NotFound, ServerFault


@pytest.fixture(params=["folder", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    url = str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path.name}"
    return ArtifactStore(url, tmp_path / "cache")


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "deep" / "weights").write_bytes(b"\x00" * 1000)
    return folder


def test_a_folder_comes_back_as_it_was(store: ArtifactStore, tmp_path: Path) -> None:
    kept = store.put_tree(_folder(tmp_path))
    back = store.materialise(kept.sha256)
    assert kept.size == 1002
    assert (back / "config.json").read_text() == "{}"
    assert (back / "deep" / "weights").read_bytes() == b"\x00" * 1000
    assert store.materialise(kept.sha256) == back


def test_the_same_bytes_are_stored_once(store: ArtifactStore, tmp_path: Path) -> None:
    assert store.put_bytes(b"same") == store.put_bytes(b"same")
    assert store.put_tree(_folder(tmp_path)) == store.put_tree(tmp_path / "model")


def test_bytes_that_were_never_stored_are_not_found(store: ArtifactStore) -> None:
    with pytest.raises(NotFound):
        store.read_bytes("0" * 64)


def test_a_symbolic_link_is_never_followed(store: ArtifactStore, tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "passwd").symlink_to("/etc/passwd")
    assert "passwd" not in {item.path for item in store.tree(store.put_tree(folder).sha256)}


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "a/../../outside"])
def test_a_manifest_cannot_name_a_file_outside_its_folder(store: ArtifactStore, path: str) -> None:
    blob = store.put_bytes(b"x")
    listing = {"files": [{"path": path, "sha256": blob.sha256, "size": 1}]}
    with pytest.raises(ServerFault):
        store.materialise(store.put_bytes(json.dumps(listing).encode()).sha256)
