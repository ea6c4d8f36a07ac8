"""Artifacts copied into a backup and back into an empty store."""

import gzip
from pathlib import Path

import pytest

from shared.kit.artifact_copies import Reference, copy_in, copy_out, count_absent, write_reference
from shared.kit.artifacts import ArtifactStore
from shared.kit.dump import DumpRefused


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path / "store"), tmp_path / "cache")


@pytest.fixture
def listing(tmp_path: Path, store: ArtifactStore) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "weights").write_text("w" * 1000)
    tree, file = store.put_tree(folder), store.put_bytes(b"rows")
    path = tmp_path / "artifacts.jsonl.gz"
    with gzip.GzipFile(path, "wb") as lines:
        for found in (Reference(tree.sha256, True), Reference(file.sha256, False), Reference(tree.sha256, True)):
            write_reference(lines, found)
    return path


def backup_of(store: ArtifactStore, listing: Path, folder: Path) -> int:
    count = copy_out(store, listing, folder, with_files=True)
    assert (count.referenced, count.copied, count.missing) == (3, 4, 0)
    return count.copied


def test_every_file_that_is_referred_to_comes_back(store: ArtifactStore, listing: Path, tmp_path: Path) -> None:
    copied = backup_of(store, listing, tmp_path / "backup")
    new = ArtifactStore(str(tmp_path / "new"), tmp_path / "cache2")
    assert count_absent(listing, new) == 3
    copy_in(tmp_path / "backup", copied, new)
    assert count_absent(listing, new) == 0


def test_without_files_only_manifests_are_copied(store: ArtifactStore, listing: Path, tmp_path: Path) -> None:
    count = copy_out(store, listing, tmp_path / "backup", with_files=False)
    assert (count.referenced, count.copied) == (3, 1)


def test_a_store_that_lost_a_file_is_saved_and_the_loss_counted(
    store: ArtifactStore, listing: Path, tmp_path: Path
) -> None:
    lost = next(path for path in (tmp_path / "store").glob("sha256/*/*") if path.read_bytes() == b"rows")
    lost.unlink()
    assert copy_out(store, listing, tmp_path / "backup", with_files=True).missing == 1


def test_a_damaged_store_is_not_saved_as_if_it_were_whole(store: ArtifactStore, listing: Path, tmp_path: Path) -> None:
    next(path for path in (tmp_path / "store").glob("sha256/*/*") if path.read_bytes() == b"rows").write_bytes(b"rots")
    with pytest.raises(DumpRefused, match="is damaged in the store"):
        copy_out(store, listing, tmp_path / "backup", with_files=True)


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_a_damaged_copy_is_refused(how: str, store: ArtifactStore, listing: Path, tmp_path: Path) -> None:
    copied = backup_of(store, listing, tmp_path / "backup")
    victim = next((tmp_path / "backup" / "artifacts").glob("sha256/*/*"))
    victim.unlink() if how == "gone" else victim.write_bytes(b"x")
    with pytest.raises(DumpRefused, match="the backup is damaged"):
        copy_in(tmp_path / "backup", copied, ArtifactStore(str(tmp_path / "new"), tmp_path / "cache2"))
