"""Models, from the client's side."""

from pathlib import Path

from imts.client.errors import ClientError
from imts.client.transport import Transport
from shared.contracts.jobs import JobView
from shared.contracts.models import ModelPage, ModelView


class Models:
    """What a client does with models."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def make_tiny(self, name: str, from_dataset: str, **options: object) -> JobView:
        """Have a small base model made; its job is answered, not waited for."""
        body = {"name": name, "from_dataset": from_dataset, **options}
        return self._transport.post("/api/models/tiny", JobView, body)

    def import_folder(self, name: str, folder: Path, template: str = "default") -> ModelView:
        """Upload the files of a folder: config, tokenizer, safetensors weights; the server refuses anything else."""
        if not (folder / "config.json").is_file():
            raise ClientError(f"{folder} is not a model folder: it has no config.json")
        # Subfolders hold checkpoints and caches; a link could name any file of this machine.
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.is_symlink()]
        shown = [path for path in files if not path.name.startswith(".")]
        return self._transport.upload("/api/models", ModelView, "files", shown, {"name": name, "template": template})

    def list(self, *, limit: int = 50, cursor: str | None = None) -> ModelPage:
        """A page of models, newest first."""
        return self._transport.get("/api/models", ModelPage, {"limit": limit, "cursor": cursor})

    def get(self, reference: str) -> ModelView:
        """One version: `name`, `name@2`, or an id."""
        return self._transport.get(f"/api/models/{reference}", ModelView)
