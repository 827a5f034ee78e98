import csv

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from galjax import InputError
from galjax.sources.surveys import objid
from galjax.sources.surveys.objid import ObjidParts
from tests.sources.real_data import PHOTOMETRY, TABLE2_ROWS, needs_photometry, needs_table2_rows

FIRST = 587727178986356823


def test_the_first_galaxy_of_table_2_and_back():
    parts = objid.decode(np.array([FIRST]))
    assert {name: values.tolist() for name, values in parts._asdict().items()} == {
        "sky_version": [1],
        "rerun": [40],
        "run": [1729],
        "camcol": [3],
        "first_field": [0],
        "field": [83],
        "obj": [87],
    }
    assert objid.encode(parts).tolist() == [FIRST]
    assert int(float(FIRST)) != FIRST  # a float would have lost it


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20))
def test_any_id_comes_back(ids):
    array = np.array(ids, np.int64)
    np.testing.assert_array_equal(objid.encode(objid.decode(array)), array)


def test_parts_that_do_not_fit_are_named():
    parts = objid.decode(np.array([FIRST, FIRST]))
    with pytest.raises(InputError, match=r"camcol of an SDSS object id lies in 0\.\.7, not at 8"):
        objid.encode(parts._replace(camcol=np.array([3, 8])))
    with pytest.raises(InputError, match=r"run of an SDSS object id lies in 0\.\.65535, not at -1"):
        objid.encode(parts._replace(run=np.array([-1, 3])))


def test_ids_that_no_dr7_galaxy_has_are_explained():
    dr8 = objid.encode(ObjidParts(*(np.array([v]) for v in (2, 301, 1000, 1, 0, 100, 19))))[0]
    found = objid.problems(np.array([FIRST, -4, 12345, dr8]))
    assert found[0] is None
    assert "not SDSS's" in found[1]
    assert "not SDSS's" in found[2]
    assert "DR8 or later" in found[3]


@needs_table2_rows
def test_real_ids_have_parts_of_dr7():
    with TABLE2_ROWS.open() as table:
        ids = np.array([int(row["OBJID"]) for row in csv.DictReader(table)])
    assert len(ids) == 99
    parts = objid.decode(ids)
    assert set(parts.sky_version) == {1}
    assert set(parts.camcol) <= set(range(1, 7))
    assert ((parts.rerun >= 40) & (parts.rerun < 50)).all()
    assert objid.problems(ids) == [None] * 99


@needs_photometry
def test_real_ids_agree_with_the_columns_of_their_catalogue():
    with fits.open(PHOTOMETRY) as hdus:
        data = hdus[1].data
        parts = objid.decode(np.array([int(i) for i in data["OBJID"]]))
        for name, column in {"run": "RUN", "camcol": "CAMCOL", "field": "FIELD", "obj": "ID"}.items():
            np.testing.assert_array_equal(getattr(parts, name), data[column])
        assert set(parts.rerun) == {301}
