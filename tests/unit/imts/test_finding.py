"""Which server and key the command line uses."""

import json
from pathlib import Path

import pytest

from imts.client.errors import ClientError
from imts.remembered import Connection, client_file, default_data_dir, find_connection, remember
from imts.up.folder import DataFolder
from imts.up.keys import admin_key

URL = "http://127.0.0.1:9080"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    folder = DataFolder(tmp_path / "data")
    folder.make()
    admin_key(folder, "kept-key")
    remember(URL, folder, environ)
    return environ


def test_the_mesh_that_came_up_last_is_found(environ: dict[str, str]) -> None:
    assert find_connection(environ) == Connection(URL, "kept-key")


def test_the_environment_wins(environ: dict[str, str]) -> None:
    chosen = {**environ, "IMTS_URL": "http://other:1/", "IMTS_API_KEY": "mine"}
    assert find_connection(chosen) == Connection("http://other:1", "mine")
    assert find_connection({**environ, "IMTS_API_KEY": "mine"}) == Connection(URL, "mine")


def test_a_remembered_key_goes_to_no_other_server(environ: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="no API key"):
        find_connection({**environ, "IMTS_URL": "http://other:1"})


def test_what_is_remembered_is_private_and_holds_no_key(environ: dict[str, str]) -> None:
    path = client_file(environ)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "kept-key" not in path.read_text()


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"url": URL, "key_file": "/nonexistent"})])
def test_a_damaged_memory_is_no_memory(tmp_path: Path, content: str) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    (tmp_path / "imts").mkdir()
    client_file(environ).write_text(content)
    with pytest.raises(ClientError, match="no API key"):
        find_connection(environ)


def test_the_data_folder_can_be_chosen(tmp_path: Path) -> None:
    assert default_data_dir({"IMTS_DATA_DIR": str(tmp_path)}) == tmp_path
    assert default_data_dir({"XDG_DATA_HOME": "/d"}) == Path("/d/imts")
    assert default_data_dir({}) == Path.home() / ".local" / "share" / "imts"
