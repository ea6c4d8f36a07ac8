"""Which trials a sweep has: every combination, or a draw that its seed decides."""

import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from shared.contracts.base import JsonObject
from shared.contracts.sweeps import MAX_TRIALS, Method, NumberType, Parameter, Range, Scale, SweepSpec
from shared.kit.errors import InvalidRequest

_DIGITS = 6
"""Significant ones of a number in a range: values that people read, and that say the same on every machine."""
_DRAWS = 20
"""For each trial that is wanted, before a space counts as used up."""


def expand(spec: SweepSpec) -> list[JsonObject]:
    """The parameters of each trial, no two alike; InvalidRequest for a grid of more trials than are allowed."""
    if spec.method is Method.RANDOM:
        return _drawn(spec)
    values = {path: _grid_values(parameter) for path, parameter in spec.parameters.items()}
    allowed = spec.max_trials or MAX_TRIALS
    count = math.prod(len(found) for found in values.values())
    if count > allowed:
        raise InvalidRequest(
            f"maxTrials: the grid has {count} trials, {allowed} are allowed; name fewer values, or draw at random",
            param="maxTrials",
        )
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def with_values(fields: JsonObject, parameters: Mapping[str, JsonValue]) -> JsonObject:
    """The fields with a trial's parameters in their places; objects on the way to one are made where absent."""
    found = dict(fields)
    for path, value in parameters.items():
        _put(found, path.split("."), value)
    return found


def _put(fields: JsonObject, path: Sequence[str], value: JsonValue) -> None:
    if len(path) == 1:
        fields[path[0]] = value
        return
    below = fields.get(path[0])
    inner: JsonObject = dict(below) if isinstance(below, dict) else {}
    fields[path[0]] = inner
    _put(inner, path[1:], value)


def _grid_values(parameter: Parameter) -> list[JsonValue]:
    if not isinstance(parameter, Range):
        return _unlike(parameter)
    steps = parameter.steps or 2
    return _unlike([_at(parameter, step / (steps - 1)) for step in range(steps)])


def _unlike(values: Sequence[JsonValue]) -> list[JsonValue]:
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())


def _at(wanted: Range, share: float) -> JsonValue:
    """The number that lies this share of the way from one end to the other."""
    if wanted.scale is Scale.LOG:
        low, high = math.log(wanted.min), math.log(wanted.max)
        found = math.exp(low + share * (high - low))
    else:
        found = wanted.min * (1 - share) + wanted.max * share
    if wanted.type is NumberType.INT:
        return int(min(max(round(found), wanted.min), wanted.max))
    return min(max(float(f"{found:.{_DIGITS}g}"), wanted.min), wanted.max)


def _drawn(spec: SweepSpec) -> list[JsonObject]:
    wanted = spec.max_trials or MAX_TRIALS
    found: dict[str, JsonObject] = {}
    for parameters in _draws(spec, wanted * _DRAWS):
        found.setdefault(json.dumps(parameters, sort_keys=True), parameters)
        if len(found) == wanted:
            break
    return list(found.values())


def _draws(spec: SweepSpec, count: int) -> Iterator[JsonObject]:
    # A generator for each field and draw: neither the order of fields nor another field changes what one gets,
    # and a larger sweep of the same seed begins with the trials of a smaller one.
    for number in range(count):
        yield {
            path: _draw(parameter, random.Random(f"{spec.seed}/{number}/{path}"))  # noqa: S311
            for path, parameter in spec.parameters.items()
        }


def _draw(parameter: Parameter, chance: random.Random) -> JsonValue:
    if not isinstance(parameter, Range):
        return chance.choice(parameter)
    if parameter.type is NumberType.INT and parameter.scale is Scale.LINEAR:
        return chance.randint(int(parameter.min), int(parameter.max))
    return _at(parameter, chance.random())
