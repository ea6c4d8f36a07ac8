"""Where the mesh of this user is, so that the command line finds server and key by itself."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imts.client.errors import ClientError
from imts.up.folder import DataFolder, write_private

DEFAULT_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True)
class Connection:
    """A server and the key it takes."""

    url: str
    key: str


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where `imts up` keeps everything when nothing else is said."""
    if chosen := environ.get("IMTS_DATA_DIR"):
        return Path(chosen)
    return Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "imts"


def client_file(environ: Mapping[str, str] = os.environ) -> Path:
    """What the latest `imts up` of this user wrote down."""
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "imts" / "client.json"


def remember(url: str, folder: DataFolder, environ: Mapping[str, str] = os.environ) -> None:
    """Write down where the mesh is; the key stays in its own file."""
    path = client_file(environ)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    facts = {"url": url, "key_file": str(folder.key_file.absolute())}
    write_private(path, json.dumps(facts) + "\n")


def _recall(environ: Mapping[str, str]) -> Connection | None:
    try:
        facts = json.loads(client_file(environ).read_text(encoding="utf-8"))
        return Connection(str(facts["url"]), Path(facts["key_file"]).read_text(encoding="utf-8").strip())
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_connection(environ: Mapping[str, str] = os.environ) -> Connection:
    """IMTS_URL and IMTS_API_KEY where set, for the rest the mesh that `imts up` started last."""
    url, key = environ.get("IMTS_URL", "").rstrip("/"), environ.get("IMTS_API_KEY", "")
    recalled = _recall(environ)
    # A remembered key goes only to the server it belongs to.
    if recalled and not key and url in {"", recalled.url}:
        key = recalled.key
    if not key:
        raise ClientError("no API key: set IMTS_API_KEY, or start a mesh with `imts up`")
    return Connection(url or (recalled.url if recalled else DEFAULT_URL), key)
