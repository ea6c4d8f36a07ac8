"""`key=value` arguments and job files, typed by the contract they are meant for."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from imts.client.errors import ClientError

Fields = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE…", help="Fields of the job, in either case.")]
JobFile = Annotated[Path | None, typer.Option("--file", "-f", help="A YAML file with fields; arguments win over it.")]
_MAX_FILE_BYTES = 256 * 1024


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("no number")


def _as_json(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return text


def _field(spec: type[BaseModel], key: str) -> FieldInfo | None:
    for name, field in spec.model_fields.items():
        if key in {name, field.alias}:
            return field
    return None


def _fits(field: FieldInfo, value: object) -> bool:
    kind: Any = field.annotation
    for constraint in field.metadata:
        kind = Annotated[kind, constraint]
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def typed(spec: type[BaseModel], key: str, value: object) -> object:
    """The text as what its field takes: `maxSteps=3` is a number, `dataset=3` a name. The server judges the rest."""
    if not isinstance(value, str):
        return value
    field = _field(spec, key)
    number = _as_json(value)
    return value if field is not None and _fits(field, value) and not _fits(field, number) else number


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ClientError(f"{text!r} is not KEY=VALUE, as in learningRate=1e-4")
    return key, value


def _from_file(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ClientError(f"{path} is larger than {_MAX_FILE_BYTES} bytes; that is no job file")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ClientError(f"{path} cannot be read: {fault.strerror}") from fault
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as fault:
        raise ClientError(f"{path} is not valid YAML") from fault
    if not isinstance(content, dict):
        raise ClientError(f"{path} must hold fields like `modelName: tiny`, one a line")
    # Job fields are flat; refusing depth also refuses alias bombs before they are written out.
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, str | int | float | bool | None):
            raise ClientError(f"{path}: {key!r} must be a name with a plain value")
    return content


def _spelling(spec: type[BaseModel], key: str) -> str:
    """One spelling a field, so that an argument replaces what a file says in the other case."""
    field = _field(spec, key)
    return field.alias or key if field else key


def read_fields(spec: type[BaseModel], arguments: Sequence[str] | None, file: Path | None = None) -> dict[str, object]:
    """The fields of a job from a file and arguments; at least one must be given."""
    given: Mapping[str, object] = {**(_from_file(file) if file else {})}
    said = dict(_pair(text) for text in arguments or [])
    if not given and not said:
        raise ClientError("say what the job is: fields like modelName=tiny dataset=arithmetic, or -f job.yaml")
    merged = {_spelling(spec, key): typed(spec, key, value) for key, value in given.items()}
    return {**merged, **{_spelling(spec, key): typed(spec, key, value) for key, value in said.items()}}
