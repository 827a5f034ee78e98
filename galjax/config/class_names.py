"""What classes may be called."""

import re

from galjax.errors import InputError

_CLASS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,63}")


def check_class_name(name: str) -> None:
    """Raise InputError where a class cannot be called so: files, columns and labels of figures are called by classes."""
    if not _CLASS_NAME.fullmatch(name):
        raise InputError(
            f"A class cannot be called {name[:80]!r}: names have up to 64 letters, digits, spaces and . _ + -, and begin with a "
            f"letter or digit. Rename it in the catalogue or sample."
        )
