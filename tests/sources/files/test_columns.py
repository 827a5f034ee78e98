import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from galjax import InputError
from galjax.sources.files.columns import (
    MISSING,
    UNREADABLE,
    find_redshift_column,
    read_flags,
    read_ids,
    read_redshift,
)
from galjax.sources.surveys.redshifts import read_spectra


def ids(values):
    found, present = read_ids(Table({"id": values}), "id", "t.csv")
    return found.dtype.kind, [value if there else None for value, there in zip(found.tolist(), present, strict=True)]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["5", " 587722981736120347", "-3"], "i", [5, 587722981736120347, -3]),
        (["5", "", "  "], "i", [5, None, None]),
        (["007", "5"], "U", ["007", "5"]),
        (["1_0", "5"], "U", ["1_0", "5"]),
        (["+5", "5"], "U", ["+5", "5"]),
        (["٣", "5"], "U", ["٣", "5"]),
        (["9223372036854775807"], "i", [2**63 - 1]),
        (["9223372036854775808"], "U", ["9223372036854775808"]),
        (["-9223372036854775808"], "U", ["-9223372036854775808"]),
        (["100008.0", "100023.00", "7", ""], "i", [100008, 100023, 7, None]),
        (["100008.0", "1.5"], "U", ["100008.0", "1.5"]),
        (["7", "7.0"], "U", ["7", "7.0"]),  # two ids, which would be one
        (["100008.jpg", "images/7.PNG", ""], "i", [100008, 7, None]),
        (["C:\\data\\J1.5+03.2.fits.gz", "J2.fit"], "U", ["J1.5+03.2", "J2"]),
        (["100008.jpg", "7"], "U", ["100008.jpg", "7"]),
        (["a/7.jpg", "b/7.jpg"], "U", ["a/7.jpg", "b/7.jpg"]),
        ([5.0, np.nan, 2.0**53 - 1], "i", [5, None, 2**53 - 1]),
        (np.array([5, 2**24 - 1], np.float32), "i", [5, 2**24 - 1]),
        (MaskedColumn([7, 8], mask=[True, False]), "i", [None, 8]),
        (MaskedColumn(["a", "b"], mask=[True, False]), "U", [None, "b"]),
        (np.array([3, 4], np.uint8), "i", [3, 4]),
        ([b"J1", b"J2"], "U", ["J1", "J2"]),
    ],
)
def test_ids(values, kind, expected):
    assert ids(values) == (kind, expected)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (["5.87723E+17"], r"holds rounded numbers such as 5\.87723E\+17"),
        (["7.0", "587722981736120347.0"], r"rounded numbers such as 587722981736120347\.0"),
        ([2.0**53], "floating-point numbers, which lose digits"),
        (np.array([2**24], np.float32), "floating-point numbers, which lose digits"),
        ([1.5, 2.0], "floating-point numbers"),
        ([np.nan], "floating-point numbers"),
        (np.array([2**63], np.uint64), r"numbers above 2\^63"),
        (["x" * 2000], None),
        (np.array(["x" * 2000, "y"], object), "has a cell of 2000 characters"),
    ],
)
def test_ids_that_may_have_lost_digits_get_a_sentence(values, sentence):
    if sentence is None:
        assert ids(values) == ("U", values)
        return
    with pytest.raises(InputError, match=sentence):
        ids(values)


WORDS = {
    0: [
        "0",
        "0.0",
        "0.000000",
        "0.000000000000000000e+00",
        "0e0",
        "+0",
        "0,0",
        " 0 ",
        "F",
        "false",
        "False",
        "no",
        "N",
    ],
    1: ["1", "1.0", "1.000000", "1.000000000000000000e+00", "1e0", "+1", "1,0", " 1", "T", "true", "TRUE", "yes", "Y"],
    MISSING: ["", " ", "nan", "NaN", "null", "None", "NA", "n/a", "--"],
    UNREADABLE: ["2", "-1", "0.5", "maybe", "inf", "1 0", "0x1", "1.0000001", "on"],
}


@pytest.mark.parametrize("flag", WORDS)
def test_flags_in_words(flag):
    assert read_flags(Table({"a": WORDS[flag]}), "a", "t").tolist() == [flag] * len(WORDS[flag])


def test_flags_in_numbers():
    def flags(values):
        return read_flags(Table({"a": values}), "a", "t").tolist()

    assert flags([0, 1, 2, -1]) == [0, 1, UNREADABLE, UNREADABLE]
    assert flags([0.0, 1.0, 0.5, np.nan, np.inf]) == [0, 1, UNREADABLE, MISSING, UNREADABLE]
    assert flags([False, True]) == [0, 1]
    assert flags(MaskedColumn([1, 1], mask=[True, False])) == [MISSING, 1]
    assert flags(MaskedColumn(["1", "x"], mask=[False, True])) == [1, MISSING]
    assert flags(np.array([0, 1], np.uint8)) == [0, 1]


@pytest.mark.parametrize(
    ("values", "expected", "unreadable"),
    [
        (["0.1", "", " ", "nan", "inf"], [0.1, None, None, None, None], 0),
        (["0.1", "x", "0,25", "-9,5e3"], [0.1, None, 0.25, None], 2),
        (np.array([0.5, np.inf]), [0.5, None], 0),
        ([1, 2], [1.0, 2.0], 0),
        (MaskedColumn([0.1, 0.2], mask=[True, False]), [None, 0.2], 0),
        (MaskedColumn(["x", "0.2"], mask=[True, False]), [None, 0.2], 0),
        ([True, False], [None, None], 2),
    ],
)
def test_redshifts(values, expected, unreadable):
    redshift, count = read_redshift(Table({"z": values}), "z", "t")
    assert [None if np.isnan(value) else value for value in redshift.tolist()] == expected
    assert count == unreadable


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["z"], "z"),
        (["u", "g", "r", "i", "z"], None),
        (["g", "r", "Z"], None),
        (["G", "R", "I", "z", "Y"], None),
        (["r", "z"], "z"),
        (["modelMag_r", "modelMag_g", "z"], "z"),
        (["g", "r", "i", "z", "redshift"], "redshift"),
        (["g", "r"], None),
    ],
)
def test_z_beside_other_magnitudes_is_one(names, found):
    column, note = find_redshift_column(Table({name: [1.0] for name in names}), None, "--redshift-column", "t.csv")
    assert column == found
    assert bool(note) == (found is None and "z" in map(str.lower, names))
    if note:
        assert "a magnitude, not a redshift. --redshift-column" in note


def test_a_table_of_redshifts_needs_one_that_is_no_magnitude(tmp_path):
    lines = {"g": "17.5", "r": "17.1", "z": "0.08"}
    (tmp_path / "t.csv").write_text(f"objid,{','.join(lines)}\n587722981736120347,{','.join(lines.values())}\n")
    with pytest.raises(
        InputError, match=r"no redshift column .*z of t\.csv is next to g, r: a magnitude.* Name it redshift"
    ):
        read_spectra(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("objid,z\n587722981736120347,0.08\n")
    assert [(spectrum[0], spectrum[2]) for spectrum in read_spectra(tmp_path / "t.csv")] == [(587722981736120347, 0.08)]


def test_z_that_is_asked_for_is_taken():
    table = Table({name: [1.0] for name in "ugriz"})
    assert find_redshift_column(table, "z", "--redshift-column", "t.csv") == ("z", "")
