import csv
import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import Angle
from astropy.table import Table

from benchmarks.stand_in.universe import HEADER
from galjax import InputError
from galjax.sources.surveys.galaxy_zoo import read_table2
from galjax.sources.surveys.sexagesimal import hours_to_degrees, to_degrees
from tests.sources.real_data import TABLE2_ROWS, needs_table2_rows

ROOT = Path(__file__).resolve().parents[3]
VOTES = "59,0.61,0.034,0.0,0.153,0.153,0.051,0.186,0.61,0.186"
GOOD = [
    f"587727178986356823,00:00:00.41,-10:22:25.7,{VOTES},0,0,1",
    f"587727227300741210,00:00:00.74,-00:00:25.7,{VOTES},1,0,0",
    f"587727225153257596,23:59:59.99,+69:59:59.9,{VOTES},0,1,0",
]
BAD = {
    f"587727178986356823,00:00:01.00,-10:22:25.7,{VOTES},1,0,0": "the object id is given before (row 1)",
    f"587730774962536596,00:00:01.03,+15:41:49.8,{VOTES},1,1,0": "2 class flags are set",
    f"587731186203885750,00:00:01.55,-00:05:33.3,{VOTES},0,0,0": "no class flag is set",
    f"587727180060098638,00:00:01.57,-09:29:40.3,{VOTES},0,2,0": "a class flag is neither 0 nor 1",
    f"587731187277627676,00:61:01.86,+00:43:09.3,{VOTES},1,0,0": "RA or DEC cannot be read",
    f"587727223024189605,00:00:02.00,,{VOTES},1,0,0": "RA or DEC cannot be read",
    f"5.87731E+17,00:00:02.10,+15:52:54.2,{VOTES},1,0,0": "OBJID '5.87731E+17' is not a whole number",
    f"1237649768107474963,00:00:02.10,+15:52:54.2,{VOTES},1,0,0": "the object id is of DR8 or later",
    "587730775499407576,00:00:02.4": "RA or DEC cannot be read",
}


def write_csv(path, lines):
    content = "\n".join([HEADER, *lines]) + "\n"
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.fits", "t.vot", "t.vot.gz"])
def test_every_format_gives_the_same_galaxies(tmp_path, name):
    path = write_csv(tmp_path / "t.csv", GOOD)
    if "csv.gz" in name:
        path = write_csv(tmp_path / name, GOOD)
    elif "csv" not in name:
        written = tmp_path / name.removesuffix(".gz")
        table = Table.read(path, format="ascii.csv")
        table.write(written, format="fits" if name.endswith("fits") else "votable")
        path = written
        if name.endswith(".gz"):
            path = tmp_path / name
            path.write_bytes(gzip.compress(written.read_bytes()))
    galaxies = read_table2(path)
    assert galaxies.id.dtype == np.int64
    assert galaxies.id.tolist() == [587727178986356823, 587727227300741210, 587727225153257596]
    np.testing.assert_allclose(galaxies.ra, [0.0017083, 0.0030833, 359.9999583], atol=1e-7)
    np.testing.assert_allclose(galaxies.dec, [-10.3738056, -0.0071389, 69.9999722], atol=1e-7)
    assert galaxies.label.tolist() == [2, 0, 1]
    assert galaxies.class_names == ("spiral", "elliptical", "uncertain")
    assert galaxies.rejected == ()
    np.testing.assert_array_equal(galaxies.columns["nvote"], [59] * 3)
    np.testing.assert_allclose(galaxies.columns["p_el_debiased"], [0.61] * 3)


def test_every_row_that_cannot_be_used_is_listed_with_its_reason(tmp_path):
    path = write_csv(tmp_path / "t.csv", [*GOOD, *BAD])
    galaxies = read_table2(path)
    assert len(galaxies) == len(GOOD)
    assert len(galaxies.rejected) == len(BAD)
    for number, (rejected, (line, reason)) in enumerate(zip(galaxies.rejected, BAD.items(), strict=True)):
        assert rejected.row == len(GOOD) + number + 1
        assert rejected.id == line.split(",")[0]
        assert rejected.reason.startswith(reason)


def test_rows_takes_the_first_ones_and_counts_the_bad_among_them(tmp_path):
    path = write_csv(tmp_path / "t.csv", [*BAD, *GOOD])
    galaxies = read_table2(path, rows=len(BAD) + 1)
    assert galaxies.row.tolist() == [1]  # the id of the last row is given before
    assert len(galaxies.rejected) == len(BAD)
    assert len(galaxies) + len(galaxies.rejected) == len(BAD) + 1


@pytest.mark.parametrize(
    ("one", "none"), [("1.0", "0.0"), ("true", "false"), ("T", "F"), ("1.000000", "0e0"), ("Yes", "no")]
)
def test_flags_in_other_words(tmp_path, one, none):
    lines = [line[:-5] + ",".join({"1": one, "0": none}[flag] for flag in line[-5::2]) for line in GOOD]
    galaxies = read_table2(write_csv(tmp_path / "t.csv", lines))
    assert galaxies.label.tolist() == [2, 0, 1]
    assert galaxies.rejected == ()


@needs_table2_rows
def test_real_rows():
    galaxies = read_table2(TABLE2_ROWS)
    assert (len(galaxies), galaxies.rejected) == (99, ())
    with TABLE2_ROWS.open() as table:
        rows = list(csv.DictReader(table))
    assert galaxies.id.tolist() == [int(row["OBJID"]) for row in rows]
    np.testing.assert_allclose(galaxies.ra, Angle([r["RA"] for r in rows], unit="hourangle").deg, atol=1e-9)
    np.testing.assert_allclose(galaxies.dec, Angle([r["DEC"] for r in rows], unit="deg").deg, atol=1e-9)
    counts = [sum(int(row[name]) for row in rows) for name in ("SPIRAL", "ELLIPTICAL", "UNCERTAIN")]
    assert np.bincount(galaxies.label, minlength=3).tolist() == counts


def test_sexagesimal_agrees_with_astropy():
    rng = np.random.default_rng(0)
    hours = [f"{h:02d}:{m:02d}:{s:05.2f}" for h, m, s in zip(*rng.integers(0, (24, 60, 60), (200, 3)).T, strict=True)]
    degrees = [f"{'+-'[i % 2]}{text[:2]}{text[2:]}" for i, text in enumerate(hours)]
    np.testing.assert_allclose(hours_to_degrees(hours), Angle(hours, unit="hourangle").deg, atol=1e-10)
    np.testing.assert_allclose(to_degrees(degrees), Angle(degrees, unit="deg").deg, atol=1e-10)
    assert to_degrees(["-00:00:01.8"]) == -0.0005
    np.testing.assert_array_equal(hours_to_degrees(["12.5", "24:00:00"]), [12.5, 0.0])
    assert np.isnan(hours_to_degrees(["25:00:00", "1:2", "", "x", "-01:00:00", "01:00:61"])).all()
    assert np.isnan(to_degrees(["91:00:00", "-90:00:01", "nan"])).all()


def test_tables_that_cannot_be_used_get_a_sentence(tmp_path):
    with pytest.raises(InputError, match="There is no catalogue"):
        read_table2(tmp_path / "absent.csv")
    with pytest.raises(InputError, match=r"ends in \.csv, \.csv\.gz"):
        read_table2(tmp_path / "t.xlsx")
    (tmp_path / "other.csv").write_text("name,ra\nm31,3\n")
    with pytest.raises(InputError, match="has no column OBJID; Galaxy Zoo 1 Table 2 has"):
        read_table2(tmp_path / "other.csv")
    (tmp_path / "empty.csv").write_text(HEADER + "\n")
    with pytest.raises(InputError, match="has no rows"):
        read_table2(tmp_path / "empty.csv")
    with pytest.raises(InputError, match=r"No row of .* can be used; the first is left out because"):
        read_table2(write_csv(tmp_path / "bad.csv", list(BAD)[1:]))
    whole = write_csv(tmp_path / "t.csv.gz", GOOD * 50).read_bytes()
    (tmp_path / "cut.csv.gz").write_bytes(whole[:-30])
    with pytest.raises(InputError, match="cannot be read to its end"):
        read_table2(tmp_path / "cut.csv.gz")
    (tmp_path / "not.fits").write_bytes(b"not a table")
    with pytest.raises(InputError, match="cannot be read as a FITS table"):
        read_table2(tmp_path / "not.fits")
    Table({"OBJID": [1]}).write(tmp_path / "t.fits")
    table = (tmp_path / "t.fits").read_bytes()
    for damaged, why in {
        table[:-2880]: "it is cut off: 5768 bytes are declared, 5760 are there",
        table.replace(b"NAXIS2  =                    1", b"NAXIS   =           4294967295"): "NAXIS is '4294967295'",
    }.items():
        (tmp_path / "t.fits").write_bytes(damaged)
        with pytest.raises(InputError, match=f"cannot be read as a FITS table .{why}"):
            read_table2(tmp_path / "t.fits")
    (tmp_path / "not.vot").write_bytes(b"not a table")
    with pytest.raises(InputError, match="cannot be read as a VOTable"):
        read_table2(tmp_path / "not.vot")
    Table({"OBJID": [5.8e17], "RA": [1.0], "DEC": [1.0], "SPIRAL": [1], "ELLIPTICAL": [0], "UNCERTAIN": [0]}).write(
        tmp_path / "floats.fits"
    )
    with pytest.raises(InputError, match="lose digits"):
        read_table2(tmp_path / "floats.fits")


MEASURE = """
import resource, sys
from pathlib import Path
from galjax.sources.surveys.galaxy_zoo import read_table2
galaxies = read_table2(Path(sys.argv[1]))
print(len(galaxies), len(galaxies.rejected), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t.csv.gz", "t.fits", "t.vot.gz"])
def test_the_whole_table_is_read_in_2_gib(tmp_path, name):
    rows = 667_944
    first = 587727178986356823
    lines = (
        f"{first + ((n // 60_000) << 16) + n % 60_000 - 87},{n % 24:02d}:{n % 60:02d}:{n % 6000 / 100:05.2f},"
        f"-{n % 90:02d}:{n % 59:02d}:{n % 600 / 10:04.1f},{VOTES},{int(n % 3 == 0)},{int(n % 3 == 1)},{int(n % 3 == 2)}"
        for n in range(rows)
    )
    with gzip.open(tmp_path / "t.csv.gz", "wt", compresslevel=3) as stream:
        stream.write(HEADER + "\n")
        stream.writelines(line + "\n" for line in lines)
    if name != "t.csv.gz":
        table = Table.read(tmp_path / "t.csv.gz", format="ascii.csv")
        table.write(tmp_path / name.removesuffix(".gz"), format="fits" if name == "t.fits" else "votable")
    if name == "t.vot.gz":
        (tmp_path / name).write_bytes(gzip.compress((tmp_path / "t.vot").read_bytes(), 3))
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / name)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    read, rejected, gigabytes = map(float, ran.stdout.split())
    assert (read, rejected) == (rows, 0)
    assert gigabytes < 2 * 2**30 / 1e9
