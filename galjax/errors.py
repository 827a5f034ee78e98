"""The error for what a user can fix: a bad flag, file, table or run folder."""


class InputError(Exception):
    """Something the user gave cannot be used.

    The message is whole sentences for the person at the terminal: what was wrong, which file, row or id, what was
    expected, and what to do next. Commands print it and end with exit code 2. Not a `ValueError`: no code that
    expects one of those, a parser of flags say, may take it for its own.
    """


def printable(text: str) -> str:
    """Text out of a user's file for a sentence: line breaks, and what a terminal takes for commands, as escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def is_exhaustion(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()


def in_short(error: BaseException) -> str:
    """The first line of an error's message, or where it has none, its kind."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
