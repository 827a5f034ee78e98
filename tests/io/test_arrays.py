import numpy as np
import pytest

from galjax import GalaxySample, InputError

IMAGES = np.random.default_rng(0).random((4, 8, 8))


def test_text_labels_and_numbers_become_classes():
    named = GalaxySample.from_arrays(IMAGES, ["s", "e", "s", "e"])
    assert (named.class_names, named.labels.tolist()) == (("e", "s"), [1, 0, 1, 0])
    chosen = GalaxySample.from_arrays(IMAGES, np.array(["s", "e", "s", "e"], object), class_names=["s", "e", "x"])
    assert (chosen.class_names, chosen.labels.tolist()) == (("s", "e", "x"), [0, 1, 0, 1])
    for numbers in ([1, 0, 1, 0], np.array([1, 0, 1, 0], np.uint8), [1.0, 0.0, 1.0, 0.0], [True, False, True, False]):
        counted = GalaxySample.from_arrays(IMAGES, numbers, class_names=("e", "s"))
        assert (counted.class_names, counted.labels.tolist()) == (("e", "s"), [1, 0, 1, 0])
    assert GalaxySample.from_arrays(IMAGES, [0, 2, 0, 1]).class_names == ("class 0", "class 1", "class 2")


def test_what_is_known_is_kept_and_pixels_are_float32():
    sample = GalaxySample.from_arrays(
        (IMAGES[..., None] * 255).astype(np.uint8),
        ids=[5, 6, 7, 8],
        redshift=[0.1, np.nan, 0.2, 0.3],
        pixel_scale=0.396,
        bands="r",
    )
    assert (sample.images.shape, sample.images.dtype) == ((4, 8, 8), np.float32)
    assert (sample.bands, sample.pixel_scale, sample.ids.tolist()) == (("r",), 0.396, [5, 6, 7, 8])
    assert repr(sample) == "GalaxySample(4 galaxies: unlabelled; 8x8 px, 0.396 arcsec/px; r)"
    assert GalaxySample.from_arrays(np.stack([IMAGES] * 3, axis=-1)).bands == ("band0", "band1", "band2")


def test_an_unlabelled_sample_is_saved_and_read_back(tmp_path):
    sample = GalaxySample.from_arrays(IMAGES)
    assert not sample.is_labelled
    assert (sample.class_names, sample.class_counts(), set(sample.labels)) == ((), {}, {-1})
    sample.save(tmp_path / "sample.fits")
    loaded = GalaxySample.load(tmp_path / "sample.fits")
    assert (loaded.digest(), loaded.is_labelled) == (sample.digest(), False)
    with pytest.raises(InputError, match="has no labels, so no class can be chosen"):
        sample.with_classes(["spiral"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"images": [[[1, 2], [3, 4]], [[1, 2, 3]]]}, "The images differ in shape"),
        ({"images": IMAGES[0]}, r"not float64 of shape \(8, 8\)"),
        ({"images": IMAGES.astype(str)}, "Images are numbers"),
        ({"images": np.zeros((0, 8, 8))}, r"shape \(0, 8, 8\)"),
        ({"images": np.zeros((4, 3, 8, 8))}, "seem to have their 3 bands first. Move them to the last axis"),
        ({"images": np.full((2, 8, 8), 1e300)}, "2 of 2 images hold NaN or infinite pixels"),
        ({"labels": [0, 1]}, r"labels need the shape \(4,\), not \(2,\)"),
        ({"labels": [0, 1, 2, 1], "class_names": ["a", "b"]}, "Labels count from 0 to 1 .* they run from 0 to 2"),
        ({"labels": [-1, 0, 0, 1]}, "they run from -1 to 1"),
        (
            {"labels": ["a", "b", "c", "a"], "class_names": ["a", "b"]},
            "The label 'c' is not among the class names a, b",
        ),
        ({"labels": [0.5, 1, 0, 1]}, "Labels are whole numbers or text, not float64"),
        ({"labels": [None, 1, 0, 1]}, "Labels are whole numbers or text, not object"),
        ({"class_names": ["a"]}, "class_names without labels"),
        ({"labels": [0, 0, 0, 0], "class_names": "ab"}, "class_names are several names"),
        ({"labels": [0, 1, 0, 1], "class_names": ["a", "a"]}, "Each class needs its own name"),
        ({"ids": [1.5, 2, 3, 4]}, "Numbers read as floating point have lost digits"),
        ({"ids": [1, 1, 2, 3]}, "appears 2 times"),
        ({"redshift": [0.1]}, r"redshift needs one value for each of 4 images, not the shape \(1,\)"),
        ({"redshift": ["far"] * 4}, "redshift holds something that is no number"),
        ({"pixel_scale": -1}, "pixel_scale must be above 0"),
        ({"pixel_scale": "small"}, "pixel_scale is one number"),
        ({"bands": ["g", "r"]}, r"The images have 1 band\(s\), so bands takes 1 name\(s\)"),
        ({"scale": 1}, "does not know 'scale'"),
    ],
)
def test_what_does_not_fit_gets_a_sentence(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        GalaxySample.from_arrays(**{"images": IMAGES, **arguments})


def test_a_redshift_of_none_is_unknown():
    assert np.isnan(GalaxySample.from_arrays(IMAGES, redshift=None).redshift).all()
