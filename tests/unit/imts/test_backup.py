"""When a backup is whole, and what is refused."""

import gzip
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imts.backup.faults import BackupFault
from imts.backup.restoring import check_whole, restore
from imts.backup.services import Services, find_services
from imts.backup.take import take
from imts.up.folder import DataFolder
from shared.contracts.backup import MANIFEST, MANIFEST_HASH, BackupFile, BackupPart


class TwoServices(Services):
    """Saves a line a service, in memory; remembers what was asked."""

    def __init__(self, breaks: str = "") -> None:
        super().__init__({})
        self.asked: list[tuple[str, str]] = []
        self.breaks = breaks

    def run(self, service: str, verb: str, folder: Path) -> str:
        self.asked.append((service, verb))
        if self.breaks == f"{service} {verb}":
            raise BackupFault(f"{service}: it broke")
        if verb.startswith("save"):
            dump = folder / f"{service}.jsonl.gz"
            dump.write_bytes(gzip.compress(b"{}\n", mtime=0))
            file = BackupFile(
                path=dump.name, sha256=hashlib.sha256(dump.read_bytes()).hexdigest(), size=dump.stat().st_size
            )
            part = BackupPart(
                service=service, revision="x0001", database="sqlite", taken_at=datetime.now(UTC), rows={}, files=[file]
            )
            (folder / f"{service}.json").write_text(part.model_dump_json())
        return ""


@pytest.fixture(params=["saved", "saved.tar"])
def backup(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    target = tmp_path / str(request.param)
    take(TwoServices(), target, with_artifacts=False)
    return target


def test_the_log_is_saved_first_and_everything_is_checked_before_anything_is_loaded(backup: Path) -> None:
    services = TwoServices()
    restore(services, backup)
    assert services.asked == [
        ("stream", "check"), ("orchestrator", "check"), ("stream", "load"), ("orchestrator", "load"),
    ]  # fmt: skip
    again = TwoServices()
    take(again, backup.with_name("another"), with_artifacts=True)
    assert again.asked == [("stream", "save"), ("orchestrator", "save-with-artifacts")]


def test_a_backup_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BackupFault, match="it broke"):
        take(TwoServices(breaks="orchestrator save"), tmp_path / "saved", with_artifacts=False)
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_refuses_stops_the_restore_before_anything_is_loaded(backup: Path) -> None:
    services = TwoServices(breaks="orchestrator check")
    with pytest.raises(BackupFault, match="it broke"):
        restore(services, backup)
    assert ("stream", "load") not in services.asked


def test_what_is_there_is_not_written_over(backup: Path) -> None:
    with pytest.raises(BackupFault, match="is there already"):
        take(TwoServices(), backup, with_artifacts=False)


@pytest.mark.parametrize("name", ["stream.jsonl.gz", MANIFEST, MANIFEST_HASH])
@pytest.mark.parametrize("how", ["gone", "changed", "cut"])
def test_a_damaged_backup_is_refused_and_the_damage_named(name: str, how: str, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    take(TwoServices(), folder, with_artifacts=False)
    path = folder / name
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.write_bytes(content[:5] + bytes([content[5] ^ 1]) + content[6:])
    services = TwoServices()
    with pytest.raises(BackupFault, match=f"{name}"):
        restore(services, folder)
    assert services.asked == []


@pytest.mark.parametrize("keep", [0, 700, 6000])
def test_a_file_that_breaks_off_is_refused(keep: int, tmp_path: Path) -> None:
    file = tmp_path / "saved.tar"
    take(TwoServices(), file, with_artifacts=False)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(BackupFault, match="not a whole backup"):
        restore(TwoServices(), file)


def test_no_backup_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(BackupFault, match="there is no backup at"):
        restore(TwoServices(), tmp_path / "nowhere")
    with pytest.raises(BackupFault, match="is not a whole backup"):
        check_whole(tmp_path)


def test_a_folder_without_a_mesh_is_not_made_into_one_by_saving_it(tmp_path: Path) -> None:
    with pytest.raises(BackupFault, match="--data-dir"):
        find_services(DataFolder(tmp_path / "nowhere"), {})
    assert list(tmp_path.iterdir()) == []


def test_an_environment_that_names_databases_and_secret_needs_no_folder(tmp_path: Path) -> None:
    environ = {"IMTS_SERVICE_SECRET": "s", "ORCHESTRATOR_DATABASE_URL": "a", "STREAM_DATABASE_URL": "b"}
    found = find_services(DataFolder(tmp_path / "nowhere"), environ)
    assert found.environments == {"stream": environ, "orchestrator": environ}
