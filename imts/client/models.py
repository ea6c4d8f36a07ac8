"""Models, from the client's side."""

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import parse_qsl

from imts.client.errors import ClientError
from imts.client.transport import Transport
from shared.contracts.exports import ExportedFile, ModelExportPage
from shared.contracts.jobs import JobView
from shared.contracts.models import ModelPage, ModelView

_STATE = re.compile(
    r".+\.(pt|pth|bin|pkl|pickle|ckpt|png)|trainer_state\.json|trainer_log\.jsonl|training_args\.\w+|\w+_results\.json"
)
_OF_AN_ADAPTER = re.compile(r"adapter_config\.json|.+\.safetensors|README\.md|LICENSE(\.\w+)?|NOTICE(\.\w+)?")


def is_adapter(folder: Path) -> bool:
    """Whether it holds an adapter rather than a whole model."""
    return (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file()


def left_out(folder: Path) -> list[str]:
    """Files of a checkpoint that an import leaves where they are: a trainer's state, and what an adapter's base has."""
    return [path.name for path in _visible(folder) if _stays(path, folder)]


def _visible(folder: Path) -> list[Path]:
    # Subfolders hold checkpoints and caches; a link could name any file of this machine.
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.is_symlink()]
    return [path for path in files if not path.name.startswith(".")]


def _stays(path: Path, folder: Path) -> bool:
    if is_adapter(folder):
        return _OF_AN_ADAPTER.fullmatch(path.name) is None
    return _STATE.fullmatch(path.name) is not None


class Models:
    """What a client does with models."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def make_tiny(self, name: str, from_dataset: str, **options: object) -> JobView:
        """Have a small base model made; its job is answered, not waited for."""
        body = {"name": name, "from_dataset": from_dataset, **options}
        return self._transport.post("/api/models/tiny", JobView, body)

    def import_folder(self, name: str, folder: Path, template: str | None = None, base: str | None = None) -> ModelView:
        """Upload a model's folder, or with `base` an adapter's; what is no weight of it stays here (`left_out`)."""
        if is_adapter(folder) and base is None:
            raise ClientError(f"{folder} holds an adapter: say the registered version that it goes on as its base")
        if not is_adapter(folder) and not (folder / "config.json").is_file():
            raise ClientError(f"{folder} is not a model folder: it has no config.json")
        said = {"name": name, "template": template, "base": base}
        fields = {key: value for key, value in said.items() if value is not None}
        kept = [path for path in _visible(folder) if not _stays(path, folder)]
        return self._transport.upload("/api/models", ModelView, "files", kept, fields)

    def list(self, *, limit: int = 50, cursor: str | None = None) -> ModelPage:
        """A page of models, newest first."""
        return self._transport.get("/api/models", ModelPage, {"limit": limit, "cursor": cursor})

    def get(self, reference: str) -> ModelView:
        """One version: `name`, `name@2`, or an id."""
        return self._transport.get(f"/api/models/{reference}", ModelView)

    def exports(self, reference: str, *, limit: int = 50, cursor: str | None = None) -> ModelExportPage:
        """What a version exists as: a page of the exports that succeeded, newest first."""
        path = f"/api/models/{reference}/exports"
        return self._transport.get(path, ModelExportPage, {"limit": limit, "cursor": cursor})

    def fetch(self, file: ExportedFile, target: Path) -> Path:
        """Write an exported file to `target`; its hash is checked before it appears there."""
        scratch = target.with_name(f".{target.name}.unchecked")
        try:
            way, _, query = file.download.partition("?")
            self._transport.download(way, scratch, dict(parse_qsl(query)))
            with scratch.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                    raise ClientError(f"{file.name} came with other bytes than its hash says; fetch it again")
            os.replace(scratch, target)
        finally:
            scratch.unlink(missing_ok=True)
        return target
