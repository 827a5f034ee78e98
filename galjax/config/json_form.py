"""A configuration is a dataclass: what its fields are called as flags, and how it is written as JSON and read back."""

import contextlib
import dataclasses
import functools
import json
import math
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from galjax.config.markers import Flat

Config = TypeVar("Config")


class Suggested(int):
    """A whole number that a preset gives and nobody asked for: it is made smaller where the galaxies allow no more."""


class SuggestedRate(float):
    """A learning rate that nobody asked for: another network than the default has one of its own in its place."""


def suggested(*numbers: int) -> tuple[int, ...]:
    """Several `Suggested` numbers."""
    return tuple(map(Suggested, numbers))


def fitted(value: Any, limit: int) -> Any:
    """A number, or several, of which those that are only `Suggested` keep to `limit`; what was asked for stays as it is.

    Of several those above the limit are left out; where none is left, the limit itself takes their place.
    """
    beyond = lambda number: isinstance(number, Suggested) and number > limit  # noqa: E731
    if isinstance(value, tuple):
        return tuple(number for number in value if not beyond(number)) or (limit,)
    return limit if beyond(value) else value


@functools.cache
def flags(kind: type) -> dict[str, tuple[str, Any]]:
    """The flag (as "--epochs") and type of every field, by its path ("training.schedule.epochs")."""
    found: dict[str, tuple[str, Any]] = {}
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint, name = hints[field.name], field.name.replace("_", "-")
        is_flat = get_origin(hint) is Annotated and Flat in hint.__metadata__
        inner = _bare(hint)
        if not dataclasses.is_dataclass(inner):
            found[field.name] = (f"--{name}", inner)
            continue
        prefix = "--" if is_flat else f"--{name}."
        for path, (flag, below) in flags(inner).items():  # type: ignore[arg-type]
            found[f"{field.name}.{path}"] = (prefix + flag.removeprefix("--"), below)
    return found


def as_words(value: Any) -> str:
    """A value read from JSON as it stands behind its flag."""
    if value is None:
        return "not given"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def to_json(value: Any) -> Any:
    """A configuration as plain JSON values; NaN and infinities, which JSON does not have, as "NaN", "Infinity", "-Infinity"."""
    if hasattr(value, "dtype") and not getattr(value, "shape", ()):  # a number of NumPy's
        value = value.item()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return value if value is None or isinstance(value, bool | float | str) else str(value)


def dumps(content: Any, indent: int | None = 2) -> str:
    """JSON text that every parser reads: a number that JSON does not have becomes a word."""
    return json.dumps(to_json(content), indent=indent, allow_nan=False) + "\n"


def from_json(kind: type[Config], found: Mapping[str, Any]) -> Config:
    """The opposite of `to_json`: the same dataclass, with tuples, paths and NaN. A field that is not there has its default.

    Raises ValueError where a field is unknown or its value is of no type that it takes, InputError where the
    configuration itself refuses it.
    """
    hints = get_type_hints(kind, include_extras=True)
    unknown = sorted(set(found) - {field.name for field in dataclasses.fields(kind)})  # type: ignore[arg-type]
    if unknown:
        raise ValueError(f"{unknown[0]} is not a field of {kind.__name__}")
    return kind(**{name: _typed(hints[name], value, name) for name, value in found.items()})


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _typed(hint: Any, value: Any, name: str) -> Any:
    """A JSON value as what the type hint of field `name` asks for."""
    hint = _bare(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    wrong = ValueError(f"{name} cannot be {value!r}")
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        for inner in arguments:
            with contextlib.suppress(ValueError):
                return _typed(inner, value, name)
        raise wrong
    if origin is Mapping:
        if not isinstance(value, dict):
            raise wrong
        return {str(key): _typed(arguments[1], inner, name) for key, inner in value.items()}
    if origin is Literal:
        if value not in arguments:
            raise wrong
        return value
    if origin is tuple:
        each = [arguments[0]] * len(value) if arguments[1:] == (...,) else list(arguments)
        if not isinstance(value, list) or len(each) != len(value):
            raise wrong
        return tuple(_typed(inner, item, name) for inner, item in zip(each, value, strict=True))
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise wrong
        return from_json(hint, value)  # type: ignore[arg-type]
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and not isinstance(value, bool) and (isinstance(value, int | float) or value in NOT_FINITE):
        return float(value)
    if type(value) is not hint:
        raise wrong
    return value


NOT_FINITE = ("NaN", "Infinity", "-Infinity")
