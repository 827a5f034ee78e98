import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st

import galjax.sources
from galjax import Exclusion
from galjax.sources.files.columns import MISSING, UNREADABLE
from galjax.sources.files.folder_rows import Columns, read_columns, select_rows
from galjax.sources.files.image_names import ImageFiles, list_images
from galjax.sources.options import FolderOptions

IDS = st.sampled_from(["", "a", "b", "c", "M 31", "ünï", "a\x00b", "tab\t", "/etc/passwd", "~", "x" * 40])
FLAG = st.sampled_from([0, 0, 0, 1, 1, MISSING, UNREADABLE])
REDSHIFT = st.sampled_from([0.1, 0.2, np.nan])


def row_by_row(columns, files):
    """What `select_rows` gives, as plainly as it can be said: (id, label, redshift, file) of the good, exclusions."""
    contents = {}
    for number, identifier in enumerate(columns.ids.tolist()):
        if columns.present[number]:
            row = (columns.flags[:, number].tolist(), str(columns.redshift[number]))
            contents.setdefault(identifier, []).append(row)
    rows, excluded, before = [], [], set()
    for number, identifier in enumerate(columns.ids.tolist()):
        present, flags = columns.present[number], columns.flags[:, number].tolist()
        paths = files.get(str(identifier), ()) if present else ()
        if not present:
            reason = "no id"
        elif not (str(identifier).isascii() and str(identifier).isprintable()):
            reason = "id is not plain ASCII text"
        elif any(row != contents[identifier][0] for row in contents[identifier]):
            reason = "id is given several times, with different classes or redshifts"
        elif identifier in before:
            reason = "id is given before"
        elif UNREADABLE in flags:
            reason = "a class flag is neither 0 nor 1"
        elif MISSING in flags:
            reason = "a class flag is missing"
        elif sum(flags) != 1:
            reason = "no class flag is set" if sum(flags) == 0 else f"{sum(flags)} class flags are set"
        elif len(paths) != 1:
            reason = "no image file" if not paths else f"{len(paths)} image files"
        else:
            reason = None
            rows.append((identifier, flags.index(1), str(columns.redshift[number]), paths[0]))
        if reason:
            file = ", ".join(f"images/{path.name}" for path in paths)
            name = str(identifier) if present else ""
            excluded.append(Exclusion(name, file, f"{reason} (row {number + 1} of t.csv)"))
        before |= {identifier} if present else set()
    known = {str(identifier) for identifier, there in zip(columns.ids.tolist(), columns.present, strict=True) if there}
    for name, paths in files.items():
        excluded += [Exclusion(name, f"images/{p.name}", "no catalogue row") for p in paths if name not in known]
    return rows, excluded


@settings(deadline=None, derandomize=True, max_examples=300, database=None)
@given(data=st.data())
def test_columns_give_what_rows_one_by_one_give(data):
    count = data.draw(st.integers(1, 12))
    as_numbers = data.draw(st.booleans())
    ids = data.draw(st.lists(st.integers(-3, 4) if as_numbers else IDS, min_size=count, max_size=count))
    present = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count))) | data.draw(st.booleans())
    flags = np.array(data.draw(st.lists(st.tuples(FLAG, FLAG, FLAG), min_size=count, max_size=count)), np.int8).T
    redshift = np.array(data.draw(st.lists(REDSHIFT, min_size=count, max_size=count)))
    array = np.array(ids, np.int64 if as_numbers else str)
    if not as_numbers:
        present &= array != ""
    columns = Columns(array, present, np.ascontiguousarray(flags), redshift, ("a", "b", "c"), {})
    names = data.draw(st.lists(st.sampled_from(["-1", "0", "2", "a", "b", "M 31", "ünï", "z"]), unique=True))
    endings = {name: data.draw(st.sampled_from([(".npy",), (".npy", ".png")])) for name in names}
    files = {name: tuple(Path("images", name + ending) for ending in endings[name]) for name in names}
    found, excluded, note = select_rows(
        columns, ImageFiles(tuple(files), tuple(files.values()), ((),) * len(files)), "t.csv"
    )
    rows, expected = row_by_row(columns, files)
    shown = [str(redshift) for redshift in found.redshift]
    assert list(zip(found.ids.tolist(), found.labels.tolist(), shown, found.files, strict=True)) == rows
    assert excluded == expected
    assert note == ""


def test_a_masked_id_is_no_id_0(tmp_path):
    table = Table(
        {"id": MaskedColumn([7, 0, 5], mask=[True, False, True]), "SPIRAL": [1, 1, 1], "ELLIPTICAL": [0, 0, 0]}
    )
    table.write(tmp_path / "catalogue.fits")
    columns = read_columns(tmp_path / "catalogue.fits", FolderOptions(class_columns=("SPIRAL", "ELLIPTICAL")))
    (tmp_path / "0.npy").touch()
    rows, excluded, _ = select_rows(columns, list_images(tmp_path), "t.csv")
    assert rows.ids.tolist() == [0]
    assert [row.reason for row in excluded[:2]] == ["no id (row 1 of t.csv)", "no id (row 3 of t.csv)"]


@pytest.mark.parametrize("ending", ["csv", "fits"])
def test_the_work_in_python_does_not_grow_with_the_rows(tmp_path, ending):
    """Calls of this package's functions, while a catalogue is read and its rows are selected."""
    source = str(Path(galjax.sources.__file__).parent)

    def calls(count):
        table = Table({"id": np.arange(count), "SPIRAL": np.ones(count, int), "ELLIPTICAL": np.zeros(count, int)})
        table["z"] = np.linspace(0, 0.2, count)
        table.write(
            tmp_path / f"catalogue.{ending}", format="fits" if ending == "fits" else "ascii.csv", overwrite=True
        )
        counted = []

        def count_call(frame, event, argument):
            if event == "call" and frame.f_code.co_filename.startswith(source) and frame.f_code.co_name != "<genexpr>":
                counted.append(frame.f_code.co_name)

        sys.setprofile(count_call)
        try:
            columns = read_columns(
                tmp_path / f"catalogue.{ending}", FolderOptions(class_columns=("SPIRAL", "ELLIPTICAL"))
            )
            _, excluded, _ = select_rows(columns, ImageFiles((), (), ()), "t")
        finally:
            sys.setprofile(None)
        assert len(excluded) == count
        return len(counted)

    assert calls(20_000) <= calls(2_000) + 40  # one for a chunk of rows


def named(tmp_path, *names):
    for name in names:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    return list_images(tmp_path)


def test_files_are_found_by_number_where_only_zeros_differ(tmp_path):
    files = named(tmp_path, "0001.npy", "0010.npy", "0999.jpg", "1000.fits", "07.npy", "7.npy", "x.npy")
    at, note = files.find(["1", "10", "999", "1000", "7", "2", "x"])
    assert [files.names[n] if n >= 0 else None for n in at.tolist()] == ["0001", "0010", "0999", "1000", "7", None, "x"]
    assert note.startswith("3 image files were found by the number in their names, such as that of galaxy 1 in 0001.")


def test_numbers_that_several_ids_or_files_have_are_not_guessed(tmp_path):
    files = named(tmp_path, "01.npy", "001.npy", "2.npy")
    assert files.find(["1", "002", "0002"])[0].tolist() == [-1, -1, -1]
    assert [files.names[n] for n in files.find(["5", "02"])[0].tolist() if n >= 0] == ["2"]


def test_files_that_are_not_read_are_listed_with_the_reason(tmp_path):
    names = ("1.bmp", "2.npy", "2.json", "3.fits.xz", "notes", "more/", "4.FIT", "5.fts.gz", "6.fits.fz", ".hidden")
    files = named(tmp_path, *names)
    ids = np.arange(1, 7)
    flags = np.array([[1] * 6, [0] * 6], np.int8)
    columns = Columns(ids, np.ones(6, bool), flags, np.full(6, np.nan), ("a", "b"), {})
    rows, excluded, _ = select_rows(columns, files, "t.csv")
    assert rows.ids.tolist() == [2, 4, 5, 6]
    assert [path.name for path in rows.files] == ["2.npy", "4.FIT", "5.fts.gz", "6.fits.fz"]
    here = tmp_path.name
    unread = "has an ending that is not read ({}); write it as PNG, FITS or NumPy"
    assert set(map(tuple, excluded)) == {
        ("1", f"{here}/1.bmp", unread.format(".bmp") + " (row 1 of t.csv)"),
        ("3", f"{here}/3.fits.xz", unread.format(".xz") + " (row 3 of t.csv)"),
        ("2", f"{here}/2.json", unread.format(".json")),
        ("notes", f"{here}/notes", unread.format("none")),
        ("more", f"{here}/more", "is a folder, and files in it are not read; move them into images/ itself"),
    }
