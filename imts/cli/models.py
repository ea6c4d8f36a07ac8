"""`imts models`: make, import and list models."""

from pathlib import Path
from typing import Annotated

import typer

from imts.cli.connecting import connect
from imts.cli.jobs import show_job
from imts.cli.output import AsJson, print_json, print_json_object, print_table, shown
from imts.client.errors import ClientError
from imts.client.models import left_out
from shared.contracts.jobs import Phase
from shared.contracts.models import ModelView

models = typer.Typer(no_args_is_help=True, help="Make, import and list models.")


def _show(model: ModelView, *, as_json: bool) -> None:
    if as_json:
        print_json(model)
    else:
        size = f", {model.parameters:,} parameters" if model.parameters else ""
        print(f"{model.name}@{model.version}{size}, template {model.template}, {model.model_id}")


@models.command("make-tiny")
def make_tiny(
    name: str,
    from_dataset: Annotated[str, typer.Option("--from", help="The data set whose words it is to know.")],
    seed: Annotated[int | None, typer.Option(help="Same seed, same weights.")] = None,
    hidden_size: int | None = None,
    layers: int | None = None,
    heads: int | None = None,
    vocab_size: int | None = None,
    pretrain_steps: int | None = None,
    takes_images: Annotated[bool, typer.Option("--takes-images", help="Shaped like Qwen2-VL.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until it is made.")] = True,
    as_json: AsJson = False,
) -> None:
    """Make a small base model that trains on any machine."""
    said = {
        "seed": seed, "hidden_size": hidden_size, "layers": layers, "heads": heads, "vocab_size": vocab_size,
        "pretrain_steps": pretrain_steps, "takes_images": takes_images or None,
    }  # fmt: skip
    with connect() as client:
        job = client.models.make_tiny(
            name, from_dataset, **{key: size for key, size in said.items() if size is not None}
        )
        if not wait:
            show_job(job, as_json=as_json)
            return
        job = client.wait(job.job_id)
        if job.status is not Phase.SUCCEEDED:
            typer.echo(f"{job.job_id} {job.status}: {job.why}", err=True)
            raise typer.Exit(1)
        _show(client.models.get(name), as_json=as_json)


@models.command("import")
def import_folder(
    name: str,
    folder: Annotated[Path, typer.Argument(help="A model's folder, or a checkpoint of a trainer elsewhere.")],
    template: Annotated[
        str | None, typer.Option(help="LLaMA-Factory chat template; an adapter has its base's.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="The registered version that an adapter goes on.")] = None,
    as_json: AsJson = False,
) -> None:
    """Upload weights as a new version of a model: safetensors, whole or an adapter's; a trainer's state stays here."""
    with connect() as client:
        if folder.is_dir() and (rest := left_out(folder)):
            typer.echo(f"left out, as only weights are taken: {', '.join(rest)}", err=True)
        _show(client.models.import_folder(name, folder, template, base), as_json=as_json)


@models.command("list")
def list_all(limit: int = 50, as_json: AsJson = False) -> None:
    """List models, newest first."""
    with connect() as client:
        page = client.models.list(limit=limit)
    if as_json:
        print_json(page)
        return
    rows = [
        (item.name, item.version, item.purpose, item.base_model, item.parameters, shown(item.created_at))
        for item in page.data
    ]
    print_table(("name", "version", "purpose", "trained from", "parameters", "made"), rows)


@models.command("exports")
def list_exports(
    model: str,
    get: Annotated[str | None, typer.Option(metavar="FILE", help="Fetch this file, the newest of its name.")] = None,
    to: Annotated[Path | None, typer.Option(help="Where to; its own name here if absent.")] = None,
    limit: int = 50,
    as_json: AsJson = False,
) -> None:
    """List what a model version exists as (GGUF files, servers, merges), or fetch a file."""
    with connect() as client:
        page = client.models.exports(model, limit=limit)
        files = [(made, file) for made in page.data for file in made.files]
        if get is not None:
            wanted = next((file for _, file in files if file.name == get), None)
            if wanted is None:
                names = ", ".join(sorted({file.name for _, file in files})) or "none"
                raise ClientError(f"{model} has no exported file {get!r}; it has {names}")
            path = client.models.fetch(wanted, to or Path(Path(get).name))
            print_json_object({"path": str(path)}) if as_json else print(path)
            return
    if as_json:
        print_json(page)
        return
    rows = [
        (made.operation, made.quantization, file.name, file.size_bytes, file.sha256, made.target, made.job_id)
        for made, file in files
    ]
    others = [
        (made.operation, None, made.model, None, None, made.target, made.job_id) for made in page.data if not made.files
    ]
    print_table(("operation", "quantization", "made", "bytes", "sha256", "target", "job"), [*rows, *others])
