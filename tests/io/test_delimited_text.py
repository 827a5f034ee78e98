import io

import numpy as np
import pytest

from galjax.io.delimited_text import LONGEST, read_delimited

NAMES, CELLS = ["OBJID", "SPIRAL", "note"], [["587722981736120347", "007"], ["1", "0"], ["a", "b"]]


def read(text):
    names, columns = read_delimited(text)
    return names, [column.tolist() for column in columns]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " ", "   ", ", ", " | "])
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_every_separator(separator, end):
    lines = [separator.join(line) for line in (NAMES, *zip(*CELLS, strict=True))]
    names, columns = read((end or "\n").join(lines) + end)
    assert (names, [[cell.strip() for cell in column] for column in columns]) == (NAMES, CELLS)


@pytest.mark.parametrize(
    "head",
    [
        "OBJID,SPIRAL,note",
        "#Table1\nOBJID,SPIRAL,note",
        "# a comment, of two parts\n\nOBJID,SPIRAL,note",
        "sep=,\nOBJID,SPIRAL,note",
        "# OBJID,SPIRAL,note",
        "# made by TOPCAT\n#OBJID, SPIRAL, note",
        '"OBJID","SPIRAL","note"',
        "OBJID,SPIRAL,note,",
        "OBJID,SPIRAL,note,,",
    ],
)
@pytest.mark.parametrize("tail", ["", ",", ",,"])
def test_names_and_what_stands_around_them(head, tail):
    rows = "\n".join(",".join(line) + tail for line in zip(*CELLS, strict=True))
    assert read(f"{head}\n{rows}\n") == (NAMES, CELLS)


def test_savetxt(tmp_path):
    stream = io.StringIO()
    np.savetxt(stream, np.eye(3), header="OBJID SPIRAL ELLIPTICAL")
    names, columns = read(stream.getvalue())
    assert names == ["OBJID", "SPIRAL", "ELLIPTICAL"]
    assert columns[0] == ["1.000000000000000000e+00", *["0.000000000000000000e+00"] * 2]


def test_what_lacks_is_empty_and_the_column_of_an_index_is_left_out():
    assert read(",id,a,b\n0,x,1,2\n1,y\n\n   \n2,z,3\n") == (
        ["id", "a", "b"],
        [["x", "y", "z"], ["1", "", "3"], ["2", "", ""]],
    )


def test_quoted_cells_hold_separators_and_line_breaks():
    assert read('id;a\n"x;y";"1\n2"\n"say ""z""";2\n') == (["id", "a"], [["x;y", 'say "z"'], ["1\n2", "2"]])


def test_many_rows_and_long_cells():
    long = "x" * (LONGEST + 1)
    names, (ids, notes) = read_delimited("id,note\n" + "".join(f"{n},{long if n == 3 else n}\n" for n in range(1_234)))
    assert names == ["id", "note"]
    np.testing.assert_array_equal(ids, np.arange(1_234).astype(str))
    assert (notes.dtype, notes[3], notes[1_233]) == (object, long, "1233")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is empty"),
        ("# only a comment\n", "it is empty"),
        ("1,0,1\n2,1,0\n", "its first line holds numbers, not the names of the columns; write them above it"),
        ("# a note\nJ1,0,1\n", "its first line holds numbers"),
        ("id,a\n1,0\n2,0,5\n", "row 2 has 3 cells where the line of names has 2"),
        ("id a b\n1 0 1\n2 0\n", "row 2 has 2 cells where the line of names has 3"),
        ('id,a\n1,"0\n2,0\n', "unexpected end of data"),
    ],
)
def test_what_is_no_table_gets_a_sentence(text, sentence):
    with pytest.raises(Exception, match=sentence):
        read_delimited(text)
