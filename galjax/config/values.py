"""How values of flags may be written: several separated by commas, and factors as fractions of the resolution."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, get_args, get_origin

import tyro

from galjax.config.json_form import flags
from galjax.errors import InputError


def _factor(words: list[str]) -> int:
    """A whole number, also as the resolution that it leaves: 1/4 is 4."""
    text = words[0].strip()
    found = re.fullmatch(r"(?:1/)?([+-]?\d+)", text)
    if not found:
        raise InputError(
            f"A factor is a whole number like 4, or the resolution that it leaves, like 1/4, not {text!r}."
        )
    return int(found[1])


Factor = Annotated[
    int,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=_factor,
        is_instance=lambda value: isinstance(value, int),
        str_from_instance=lambda value: [str(value)],
    ),
]
"""A factor to shrink images by; on the command line 4 and 1/4 are the same."""


def with_commas_split(kind: type, arguments: Sequence[str]) -> list[str]:
    """The arguments of a command, with "2,4,8" as three where the flag of the configuration `kind` takes several values.

    Raises InputError where nothing stands between two commas.
    """
    several = {flag for flag, hint in flags(kind).values() if _takes_several(hint)}
    split: list[str] = []
    flag = ""
    for argument in arguments:
        if argument.startswith("--"):
            flag, equals, value = argument.partition("=")
            flag = flag.replace("_", "-")
            split += [flag, *_parts(flag, value)] if equals and flag in several else [argument]
        else:
            split += _parts(flag, argument) if flag in several else [argument]
    return split


def _parts(flag: str, text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 1 and not all(parts):
        raise InputError(f"{flag} {text} lacks a value beside a comma. Give values like 2,4,8 or 2 4 8.")
    return parts if len(parts) > 1 else [text]


def _takes_several(hint: Any) -> bool:
    return get_origin(hint) is tuple or any(get_origin(inner) is tuple for inner in get_args(hint))
