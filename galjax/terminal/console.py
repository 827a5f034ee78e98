"""Sentences on the terminal."""

from rich.console import Console


def say(console: Console, text: str) -> None:
    """A line as it is: no word taken for markup or coloured, and wrapped by the terminal alone, so that paths can be copied."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
