"""Keys, commands and logs of `imts up`."""

from pathlib import Path

import pytest

from imts.up.commands import Address, Command, mesh
from imts.up.faults import CannotStart
from imts.up.folder import DataFolder
from imts.up.keys import admin_key, service_secret
from imts.up.logs import last_lines, rotate


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    made.make()
    return made


def commands(folder: DataFolder, host: str = "127.0.0.1", **inherited: str) -> dict[str, Command]:
    return {command.name: command for command in mesh(Address(host, 100), folder, inherited, "secret", "key")}


def test_keys_are_made_once_and_only_their_owner_reads_them(folder: DataFolder) -> None:
    key, secret = admin_key(folder, ""), service_secret(folder)
    assert (admin_key(folder, ""), service_secret(folder)) == (key, secret)
    assert key.startswith("imts-")
    assert len(secret) >= 32
    assert {path.stat().st_mode & 0o777 for path in (folder.key_file, folder.secret_file)} == {0o600}


def test_a_preset_key_wins_and_is_kept(folder: DataFolder) -> None:
    admin_key(folder, "")
    assert admin_key(folder, "preset") == "preset"
    assert admin_key(folder, "") == "preset"


@pytest.mark.parametrize("key", ["two words", "zwölf", "a\nb"])
def test_a_preset_key_that_no_header_carries_is_refused(folder: DataFolder, key: str) -> None:
    with pytest.raises(CannotStart):
        admin_key(folder, key)


def test_services_are_told_ports_peers_and_folders(folder: DataFolder) -> None:
    told = commands(folder)["orchestrator"].environ
    assert told["ORCHESTRATOR_PORT"] == "8180"
    assert told["ORCHESTRATOR_TRAINING_URL"] == "http://127.0.0.1:8101"
    assert told["IMTS_STREAM_URL"] == "http://127.0.0.1:8104"
    assert told["ORCHESTRATOR_DATA_DIR"] == str(folder.root / "orchestrator")
    assert told["ORCHESTRATOR_DATABASE_URL"] == f"sqlite:///{folder.root}/orchestrator/imts.db"
    assert told["IMTS_ARTIFACTS_URL"] == str(folder.artifacts)


def test_databases_of_the_environment_are_passed_through(folder: DataFolder) -> None:
    told = commands(folder, STREAM_DATABASE_URL="mysql+pymysql://h/s", IMTS_REDIS_URL="redis://h")["stream"].environ
    assert (told["STREAM_DATABASE_URL"], told["IMTS_REDIS_URL"]) == ("mysql+pymysql://h/s", "redis://h")


def test_services_bound_everywhere_call_each_other_on_loopback(folder: DataFolder) -> None:
    told = commands(folder, host="0.0.0.0")["training"].environ
    assert told["TRAINING_HOST"] == "0.0.0.0"
    assert told["IMTS_ORCHESTRATOR_URL"] == "http://127.0.0.1:8180"
    assert "0.0.0.0" not in told["TRAINING_PUBLIC_URL"]


def test_ipv6_addresses_are_bracketed() -> None:
    assert Address("::1", 0).url("stream") == "http://[::1]:8004"


@pytest.mark.parametrize("offset", [60_000, -8_080])
def test_an_offset_out_of_range_is_refused(offset: int) -> None:
    with pytest.raises(CannotStart, match="port offset"):
        Address("127.0.0.1", offset)


def test_only_settings_change_the_fingerprint(folder: DataFolder) -> None:
    plain = commands(folder)["training"].fingerprint
    assert commands(folder, SHELL="/bin/zsh", IMTS_URL="http://x")["training"].fingerprint == plain
    assert commands(folder, TRAINING_SLOTS="2")["training"].fingerprint != plain


def test_a_large_log_is_moved_aside_and_three_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "training.log"
    for number in range(6):
        log.write_text(f"life {number}\n" * 10)
        rotate(log, limit_bytes=10)
    assert not log.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"training.log.{n}" for n in (1, 2, 3)]
    assert (tmp_path / "training.log.1").read_text().startswith("life 5")


def test_the_end_of_a_log_is_quoted(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert last_lines(log) == []
    log.write_text("\n".join(f"line {n}" for n in range(1000)))
    assert last_lines(log, 2) == ["line 998", "line 999"]


@pytest.mark.parametrize("place", ["a-file", "a-file/below"])
def test_a_place_that_can_be_no_folder_is_refused_in_a_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").write_text("x", encoding="utf-8")
    with pytest.raises(CannotStart, match="--data-dir"):
        DataFolder(tmp_path / place).make()
