"""Files that are written whole or not at all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


def partial_of(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(path.name + ".partial")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the name beside `path` to write to. At the end that file takes the place of `path`, in one step.

    Where writing fails it is removed, and `path` is as it was; a program that is killed may leave it behind.
    """
    partial = partial_of(path)
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, its folders with it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(content)
