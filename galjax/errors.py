"""The error for what a user can mend: a bad flag, file, table or run folder."""


class InputError(Exception):
    """Something the user gave cannot be used.

    The message is whole sentences for the person at the terminal: what was wrong, which file, row or id, what was
    expected, and what to do next. Commands print it and end with exit code 2. Not a `ValueError`: no code that
    expects one of those, a parser of flags say, may take it for its own.
    """


def printable(text: str) -> str:
    """Text out of a user's file for a sentence: line breaks, and what a terminal takes for commands, as escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
