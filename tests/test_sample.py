import dataclasses

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from galjax import Exclusion, GalaxySample, InputError

FIRST_ID = 587727178986356823  # float64 cannot hold it


def make_sample(bands=("r",), ids=None):
    rng = np.random.default_rng(0)
    shape = (5, 4, 6) if len(bands) == 1 else (5, 4, 6, len(bands))
    return GalaxySample(
        images=rng.standard_normal(shape, dtype=np.float32),
        labels=np.array([0, 1, 2, 1, 0], np.int32),
        class_names=("spiral", "elliptical", "uncertain"),
        ids=np.arange(FIRST_ID, FIRST_ID + 5) if ids is None else ids,
        redshift=np.array([0.1, np.nan, 0.05, 0.19, 0.21]),
        pixel_scale=0.396,
        bands=bands,
        provenance={"survey": "a test, with an é"},
        columns={"magnitude": np.linspace(14, 17, 5), "frame": np.array(["a", "bb", "", "d", "e"])},
        excluded=(Exclusion("17", "images/17.jpeg", "cut off: é"),),
    )


@pytest.mark.parametrize("bands", [("r",), ("g", "r", "i")])
@pytest.mark.parametrize("ids", [None, np.array(["J1", "J22", "J333", "a b", "x"])])
def test_fits_round_trip_is_exact(tmp_path, bands, ids):
    sample = make_sample(bands, ids)
    sample.save(tmp_path / "sample.fits")
    read = GalaxySample.load(tmp_path / "sample.fits")
    for field in dataclasses.fields(GalaxySample):
        ours, theirs = getattr(sample, field.name), getattr(read, field.name)
        if field.name == "columns":
            assert list(ours) == list(theirs)
            for name in ours:
                np.testing.assert_array_equal(ours[name], theirs[name])
        elif isinstance(ours, np.ndarray):
            assert theirs.dtype.isnative
            np.testing.assert_array_equal(ours, theirs)
        else:
            assert ours == theirs
    assert read.digest() == sample.digest()


def test_the_galaxy_table_is_an_ordinary_fits_table(tmp_path):
    make_sample().save(tmp_path / "sample.fits")
    table = Table.read(tmp_path / "sample.fits", hdu="GALAXIES")
    assert table["ID"][0] == FIRST_ID
    assert table["ID"].dtype.kind == "i"
    assert table["ID"].dtype.itemsize == 8
    assert list(table["CLASS"]) == ["spiral", "elliptical", "uncertain", "elliptical", "spiral"]
    with fits.open(tmp_path / "sample.fits") as hdus:
        assert hdus[0].data.shape == (5, 4, 6)


def test_unknown_pixel_scale_and_no_exclusions_round_trip(tmp_path):
    dataclasses.replace(make_sample(), pixel_scale=float("nan"), excluded=()).save(tmp_path / "s.fits")
    read = GalaxySample.load(tmp_path / "s.fits")
    assert np.isnan(read.pixel_scale)
    assert read.excluded == ()


def test_with_classes_relabels_in_the_given_order():
    chosen = make_sample().with_classes(["elliptical", "spiral"])
    assert chosen.class_names == ("elliptical", "spiral")
    assert chosen.labels.tolist() == [1, 0, 0, 1]
    assert chosen.class_counts() == {"elliptical": 2, "spiral": 2}
    assert chosen.ids.tolist() == [FIRST_ID + i for i in (0, 1, 3, 4)]
    assert chosen.columns["frame"].tolist() == ["a", "bb", "d", "e"]


def test_redshift_range_is_open_and_leaves_out_the_unknown():
    assert make_sample().in_redshift_range(0.05, 0.2).tolist() == [True, False, False, True, False]


def with_values(**changes):
    return lambda: dataclasses.replace(make_sample(), **changes)


not_finite = np.ones((5, 4, 6), np.float32)
not_finite[3, 1, 1] = np.inf


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            with_values(images=not_finite),
            f"1 of 5 images hold NaN or infinite pixels, the first is galaxy {FIRST_ID + 3}",
        ),
        (with_values(labels=np.array([0, 1, 2, 3, 0], np.int32)), r"Labels must lie in 0\.\.2"),
        (with_values(ids=np.full(5, 7)), "Galaxy id 7 appears 5 times"),
        (with_values(ids=np.arange(5.0)), "must be int64 or strings, not float64"),
        (with_values(bands=("g", "r")), r"1 band\(s\), but 2 band name"),
        (lambda: make_sample().with_classes(["spiral", "star"]), "no class 'star'; its classes are spiral, elliptical"),
        (lambda: make_sample().with_classes(["spiral", "spiral"]), "may be named once"),
    ],
)
def test_parts_that_do_not_fit_get_a_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


def test_files_that_are_no_samples_get_a_sentence(tmp_path):
    with pytest.raises(InputError, match="There is no sample file"):
        GalaxySample.load(tmp_path / "absent.fits")
    fits.PrimaryHDU(np.zeros((2, 2))).writeto(tmp_path / "other.fits")
    with pytest.raises(InputError, match="FITS, but not a sample of layout 1"):
        GalaxySample.load(tmp_path / "other.fits")
    (tmp_path / "text.fits").write_text("not FITS")
    with pytest.raises(InputError, match=r"text\.fits cannot be read as a galaxy sample"):
        GalaxySample.load(tmp_path / "text.fits")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
def test_a_cut_off_file_gets_a_sentence(tmp_path, share):
    make_sample().save(tmp_path / "sample.fits")
    content = (tmp_path / "sample.fits").read_bytes()
    (tmp_path / "cut.fits").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"cut\.fits cannot be read"):
        GalaxySample.load(tmp_path / "cut.fits")


def test_a_file_that_lacks_its_last_padding_lacks_no_galaxy(tmp_path):
    sample = make_sample()
    sample.save(tmp_path / "sample.fits")
    content = (tmp_path / "sample.fits").read_bytes()
    (tmp_path / "cut.fits").write_bytes(content[: int(len(content) * 0.95)])
    assert GalaxySample.load(tmp_path / "cut.fits").digest() == sample.digest()


def test_saving_replaces_a_file_only_when_the_new_one_is_whole(tmp_path):
    path = tmp_path / "sample.fits"
    make_sample().save(path)
    make_sample(("g", "r")).save(path)
    assert GalaxySample.load(path).bands == ("g", "r")
    assert [p.name for p in tmp_path.iterdir()] == ["sample.fits"]
