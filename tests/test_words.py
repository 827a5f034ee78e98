"""What users read is plain, current English: phrases that were hard to follow do not come back."""

import ast
import re

import pytest

from benchmarks.readme import READMES, ROOT

SOURCES = [path for top in ("galjax", "experiments", "benchmarks") for path in sorted((ROOT / top).rglob("*.py"))]
HARD = re.compile(
    r"goes on (after|without)|gone on with|to go on\b|\b[Mm]end(s|ed)?\b|[Rr]eckon|told of|[Ee]nlarging methods|went off"
    r"|[Pp]ictures\b|sky is off|no reduced resolution,|Beside the thesis|as many of each|Never seen live|How far may| less bilinear"
    r"|± \d+ ste\b"
)


def texts_and_docstrings(path):
    """The strings of a module that are not docstrings, and its docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    strings = {node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return [node.value for node in strings - docstrings], [node.value for node in docstrings]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_strings_and_docstrings_of_modules_are_in_plain_words(path):
    strings, docstrings = texts_and_docstrings(path)
    for text in (*strings, *docstrings):
        assert not HARD.search(text), text
    for text in docstrings:
        assert not text.startswith("Of "), text


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_readmes_are_in_plain_words(path):
    assert not HARD.search(path.read_text())
