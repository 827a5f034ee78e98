"""Flags out of dataclasses: what is typed becomes a configuration, and `--help` says what can be typed.

`tyro` understands the arguments. The help is written here: in groups, the rarer ones under `--help-all` alone, and wrapped to
the width of the terminal. What a flag is stands in the docstring below its field, which is read from the source, so that it is
there under `python -OO` too.
"""

import ast
import dataclasses
import inspect
import itertools
import os
import shutil
import textwrap
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import tyro

from galjax.config.markers import (
    ARCHIVES,
    DATA,
    EXECUTION,
    EXPERIMENT,
    MACHINES,
    NETWORK,
    OPTIONS,
    OUTPUT,
    SHARP_IMAGES,
    SIMULATED,
    Flat,
    Group,
    Hidden,
)

_ORDER = (DATA, SHARP_IMAGES, EXPERIMENT, OPTIONS, OUTPUT, SIMULATED, NETWORK, EXECUTION, ARCHIVES, MACHINES)
HELP = ("-h", "--help", "--help-all")
_NARROW = 76
"""Columns below which the text of a flag stands on the lines below it instead of beside it."""

Config = TypeVar("Config")


class Flag(NamedTuple):
    """One flag as the help shows it."""

    name: str
    """The flag with its dashes: --no-write."""
    value: str
    """What to give after it: INT, PATH, {a,b} ...; empty for a switch."""
    text: str
    group: Group
    default: str = ""
    """The value as it would be typed; empty for a switch."""

    @property
    def typed(self) -> str:
        """How it is given."""
        return f"{self.name} {self.value}".rstrip()


def parse(
    default: Config,
    arguments: Sequence[str],
    program: str,
    description: str = "",
    further: Sequence[Flag] = (),
    *,
    switches_off: bool = False,
) -> Config:
    """The configuration that the arguments ask for; what they leave out is as in `default`.

    A `~` at the beginning of a value is the home folder, as where a shell sees it. Prints the help and ends (SystemExit)
    where that is asked for; `further` flags stand in it too. With `switches_off` a switch that is on may be given again, or
    turned off (--no-...). Ends with 2 and a sentence for arguments that cannot be understood.
    """
    from galjax.config.values import with_commas_split

    given = with_commas_split(type(default), [_with_home(argument) for argument in arguments])
    if any(argument in HELP for argument in given):
        everything = "--help-all" in given
        print(help_text(default, program, description, further, everything=everything, width=_width()))
        raise SystemExit(0)
    marks = () if switches_off else (tyro.conf.FlagCreatePairsOff,)
    return tyro.cli(type(default), prog=program, default=default, args=given, config=marks, description="")


def _with_home(argument: str) -> str:
    flag, equals, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
    return flag + equals + os.path.expanduser(value)


def flags_of(config: Any, prefix: str = "--", group: Group | None = None) -> Iterator[Flag]:
    """Every flag of a configuration whose fields are its defaults. A class may name the `GROUP` of its own fields."""
    own: Group = getattr(config, "GROUP", OPTIONS) if group is None else group
    hints = typing.get_type_hints(type(config), include_extras=True)
    texts = _texts(type(config))
    for field in dataclasses.fields(config):
        kind, *marks = (
            get_args(hints[field.name]) if get_origin(hints[field.name]) is Annotated else (hints[field.name],)
        )
        its_group = next((mark for mark in marks if isinstance(mark, Group)), own)
        value, name = getattr(config, field.name), field.name.replace("_", "-")
        if Hidden in marks:
            continue
        if dataclasses.is_dataclass(value):
            yield from flags_of(value, prefix if Flat in marks else f"{prefix}{name}.", its_group)
        elif kind is bool:
            yield Flag(f"{prefix}{'no-' if value else ''}{name}", "", texts.get(field.name, ""), its_group)
        else:
            shown = _shown(value)
            text = texts.get(field.name, "") + (f" (default: {shown})" if shown else "")
            yield Flag(f"{prefix}{name}", _value_of(kind), text.lstrip(), its_group, shown)


def help_text(
    default: Any, program: str, description: str, further: Sequence[Flag], *, everything: bool, width: int
) -> str:
    """The whole help; no line is longer than `width`, as long as no word is."""
    flags = [*further, *flags_of(default)]
    groups = [group for group in _ORDER if any(flag.group == group for flag in flags)]
    hidden = [group.title for group in groups if not (everything or group.in_short)]
    parts = [f"usage: {program} [FLAG ...]", *(_paragraph(part, width) for part in description.split("\n\n") if part)]
    for group in groups:
        if everything or group.in_short:
            lines = [line for flag in flags if flag.group == group for line in _lines(flag.typed, flag.text, width)]
            parts.append("\n".join([f"{group.title}:", *lines]))
    lines = _lines("-h, --help", "Show this help, and end.", width)
    lines += _lines("--help-all", f"Show also: {', '.join(hidden)}." if hidden else "Show every flag, and end.", width)
    return "\n\n".join([*parts, "\n".join(["Help:", *lines])])


def _paragraph(text: str, width: int) -> str:
    """A paragraph wrapped; a block of commands, which is indented, keeps its lines."""
    if not text.startswith(" "):
        return textwrap.fill(" ".join(text.split()), width, break_on_hyphens=False)
    lines = []
    for line in text.splitlines():
        command, _, comment = (part.strip() for part in line.partition("  #"))
        if comment:
            lines += textwrap.wrap(comment, width, initial_indent="  # ", subsequent_indent="  # ")
        *first, last = textwrap.wrap(
            command,
            width - 2,
            initial_indent="  ",
            subsequent_indent="      ",
            break_on_hyphens=False,
            break_long_words=False,
        ) or [""]
        lines += [*(f"{line} \\" for line in first), last]
    return "\n".join(lines)


def _lines(typed: str, text: str, width: int) -> list[str]:
    """A flag and its text: beside it where the terminal is wide and the flag short, else below."""
    indent = 26 if width >= _NARROW else 6
    if any(len(word) > width - 6 for word in typed.split()):  # many choices
        typed = typed.replace(",", ", ")
    name = textwrap.wrap(
        typed, width, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False, break_long_words=False
    )
    words = textwrap.wrap(text, width - indent, break_on_hyphens=False)
    if len(name) == 1 and len(name[0]) <= indent - 2 and words:
        name = [name[0].ljust(indent) + words.pop(0)]
    return [*name, *(" " * indent + line for line in words)]


def _texts(config: type) -> dict[str, str]:
    """The docstring below every field, by field, of the class and those it is made from."""
    texts: dict[str, str] = {}
    for kind in reversed(config.__mro__):
        if not dataclasses.is_dataclass(kind):
            continue
        try:
            source = textwrap.dedent(inspect.getsource(kind))
        except OSError:  # no source beside the compiled code: flags without a text
            continue
        (body,) = (node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
        for field, after in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
                texts[field.target.id] = " ".join(str(ast.literal_eval(after.value)).split())
    return texts


def _value_of(kind: Any) -> str:
    """What is to be given for a type: INT, PATH, {a,b}, INT INT, or "INT ..." for one or more."""
    inner = get_args(kind)
    if get_origin(kind) is Annotated:
        return _value_of(inner[0])
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, inner)) + "}"
    if get_origin(kind) is tuple:
        return f"{_value_of(inner[0])} ..." if Ellipsis in inner else " ".join(map(_value_of, inner))
    if get_origin(kind) in (Union, UnionType):
        return "|".join(_value_of(part) for part in inner if part is not NoneType)
    return {int: "INT", float: "FLOAT", Path: "PATH"}.get(kind, "TEXT")


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _width() -> int:
    """Columns of the terminal (or of the variable COLUMNS), at most 100: longer lines are hard to read."""
    return max(40, min(shutil.get_terminal_size().columns, 100))
