"""Every argument of the LLaMA-Factory that is installed is classed: a new release opens no door by itself."""

from dataclasses import fields
from functools import cache
from typing import Any

import pytest
from llamafactory.hparams.parser import _TRAIN_ARGS
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from services.training.arguments import EngineArguments
from shared.contracts.training import TrainingSpec
from tests.integration.training.refused_arguments import REFUSED, refused

OURS = set(EngineArguments.__annotations__)
NAMES = {"modelName": "tiny", "dataset": "rows"}
MEANT_BY_USERS = TrainingSpec.model_fields.keys() & OURS
"""Arguments that a field of the same name reaches; all others of ours the service sets by itself."""


@cache
def installed() -> set[str]:
    return {field.name for group in _TRAIN_ARGS for field in fields(group) if field.init}


def test_every_installed_argument_is_ours_or_refused() -> None:
    assert installed() - OURS - refused() == set(), "new in this release: class them"


def test_no_class_names_an_argument_that_does_not_exist() -> None:
    assert (OURS | refused()) - installed() == set()


def test_an_argument_has_one_class() -> None:
    names = [name for names in REFUSED.values() for name in names.split()]
    assert len(names) == len(set(names))
    assert OURS & refused() == set()


@pytest.mark.parametrize("name", sorted((refused() | OURS) - TrainingSpec.model_fields.keys()))
def test_a_refused_or_server_owned_argument_is_no_field(name: str) -> None:
    for spelling in {name, to_camel(name)}:
        with pytest.raises(ValidationError) as fault:
            TrainingSpec.model_validate({**NAMES, spelling: True})
        assert [error["type"] for error in fault.value.errors()] == ["extra_forbidden"]


def _is_bounded(schema: dict[str, Any]) -> bool:
    bounds = {"minimum", "exclusiveMinimum", "enum", "const", "pattern", "$ref"}
    inner = schema.get("anyOf", [schema])
    return all(
        item.get("type") in {"boolean", "null"}
        or item.keys() & bounds
        or (item.get("type") == "array" and "maxItems" in item and _is_bounded(item["items"]))
        for item in inner
    )


def test_what_users_may_set_has_a_type_and_bounds() -> None:
    properties = TrainingSpec.model_json_schema(by_alias=False)["properties"]
    assert {"learning_rate", "pref_loss", "freeze_trainable_modules"} < MEANT_BY_USERS
    assert [name for name in MEANT_BY_USERS if not _is_bounded(properties[name])] == []
