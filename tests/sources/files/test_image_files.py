import bz2
import contextlib
import gzip
import io
import zlib

import cv2
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from galjax.sources.files.image_files import UnusableImage, band_names, read_image, to_stamp

rng = np.random.default_rng(0)
COLOUR = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
GREY = rng.integers(0, 65536, (40, 30), dtype=np.uint16)


def encoded(ending, pixels):
    return cv2.imencode(ending, pixels)[1].tobytes()


def as_npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def as_fits(*hdus):
    stream = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(stream)
    return stream.getvalue()


def read(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return read_image(path)


def test_pictures(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, "a.png", encoded(".png", COLOUR)), COLOUR[..., ::-1])  # OpenCV is BGR
    np.testing.assert_array_equal(read(tmp_path, "b.PNG", encoded(".png", GREY)), GREY)
    smooth = cv2.GaussianBlur(COLOUR, (0, 0), 8)
    jpeg = read(tmp_path, "c.jpeg", encoded(".jpg", smooth))
    assert np.abs(jpeg.astype(int) - smooth[..., ::-1]).max() < 12
    transparent = np.dstack([COLOUR, np.full((40, 40), 7, np.uint8)])
    assert read(tmp_path, "d.png", encoded(".png", transparent)).shape == (40, 40, 3)


def test_arrays(tmp_path):
    for array in (GREY, GREY.astype(">i4"), rng.random((5, 6, 2)), np.asfortranarray(rng.random((5, 6)))):
        np.testing.assert_array_equal(read(tmp_path, "a.npy", as_npy(array)), array)


@pytest.mark.parametrize("zipped", [False, True])
def test_fits(tmp_path, zipped):
    scaled = fits.PrimaryHDU(GREY)  # stored as int16 with BZERO 32768, as survey frames are
    cube = fits.ImageHDU(np.arange(24, dtype=np.float64).reshape(2, 3, 4))
    compressed = fits.CompImageHDU(np.arange(100, dtype=np.int16).reshape(10, 10))
    wrap = gzip.compress if zipped else bytes
    name = "a.fits.gz" if zipped else "a.fits"
    np.testing.assert_array_equal(read(tmp_path, name, wrap(as_fits(scaled))), GREY)
    found = read(tmp_path, name, wrap(as_fits(fits.PrimaryHDU(), cube)))
    assert found.shape == (3, 4, 2)
    np.testing.assert_array_equal(found[..., 1], cube.data[1])
    assert found.dtype.isnative
    assert read(tmp_path, name, wrap(as_fits(fits.PrimaryHDU(), compressed))).shape == (10, 10)


png, jpeg, npy, fit = encoded(".png", COLOUR), encoded(".jpg", COLOUR), as_npy(GREY), as_fits(fits.PrimaryHDU(GREY))
huge_png = png[:16] + (60000).to_bytes(4, "big") * 2 + png[24:29]
huge_png += zlib.crc32(huge_png[12:29]).to_bytes(4, "big") + png[33:]
frame = jpeg.index(b"\xff\xc0")
huge_jpeg = jpeg[: frame + 5] + b"\xff\xff\xff\xff" + jpeg[frame + 9 :]
huge_npy = npy.replace(b"(40, 30), }    ", b"(400000, 300),}")
huge_fits = fit.replace(b"NAXIS1  =                   30", b"NAXIS1  =            300000000")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.png", b"", "is an empty file"),
        ("a.png", b"<html>not found</html>", "is neither JPEG nor PNG nor TIFF"),
        ("a.jpeg", jpeg[: len(jpeg) // 2], "is cut off (a JPEG without its end marker)"),
        ("a.jpeg", jpeg[:-2], "is cut off (a JPEG without its end marker)"),
        ("a.png", png[: len(png) // 2], "is cut off (a PNG without its end)"),
        ("a.png", png[:60] + b"\x00\x01\x02\x03" + png[64:], "is damaged (checksum of its 'IDAT' part)"),
        ("a.png", huge_png, "declares 60000x60000 px, more than this program reads"),
        ("a.jpg", huge_jpeg, "declares 65535x65535 px, more than this program reads"),
        ("a.jpg", b"\xff\xd8" + bytes(50) + b"\xff\xd9", "is damaged (no image size in its header)"),
        ("a.npy", npy[: len(npy) // 2], "is damaged or cut off (not a whole .npy array)"),
        ("a.npy", b"not numpy at all", "is damaged or cut off (not a whole .npy array)"),
        ("a.npy", as_npy(np.array([{}, 1], object), allow_pickle=True), "holds Python objects, not numbers"),
        ("a.npy", as_npy(np.zeros(5)), "has shape (5,), not (height, width) or (height, width, band)"),
        ("a.npy", as_npy(np.zeros((0, 5))), "has shape (0, 5), not (height, width) or (height, width, band)"),
        ("a.npy", huge_npy, "declares shape (400000, 300), more than this program reads"),
        ("a.fits", fit[:2880], "is not a whole FITS file (it is cut off: 5280 bytes are declared, 2880 are there)"),
        ("a.fits", b"SIMPLE  = hello", "is not a whole FITS file (the header at byte 0 has no end)"),
        ("a.fits", as_fits(fits.PrimaryHDU()), "holds no image (a FITS file without an image of two axes)"),
        (
            "a.fits",
            huge_fits,
            "is not a whole FITS file (it is cut off: 24000002880 bytes are declared, 5760 are there)",
        ),
        ("a.fits.gz", gzip.compress(fit)[:-20], "is damaged or cut off (not a whole gzip file)"),
        ("a.npy", gzip.compress(npy)[:-20], "is damaged or cut off (not a whole gzip file)"),
        ("a.fits.bz2", bz2.compress(fit)[:-20], "is damaged or cut off (not a whole bzip2 file)"),
        (
            "a.fits",
            as_fits(fits.PrimaryHDU(np.ones((2, 2, 3, 3)))),
            "has shape (2, 2, 3, 3), not (height, width) or (height, width, band)",
        ),
    ],
)
def test_files_that_cannot_be_used_give_a_reason(tmp_path, capfd, name, content, reason):
    with pytest.raises(UnusableImage) as caught:
        read(tmp_path, name, content)
    assert str(caught.value) == reason
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((8, 9), (8, 9)),
        ((1, 8, 9), (8, 9)),
        ((8, 9, 1), (8, 9)),
        ((1, 1, 8, 9), (8, 9)),
        ((1, 3, 8, 9), (8, 9, 3)),
        ((3, 8, 9), (8, 9, 3)),
        ((8, 9, 3), (8, 9, 3)),
        ((5, 8, 9), (8, 9, 5)),
        ((8, 9, 5), (8, 9, 5)),
        ((1, 9), (1, 9)),
    ],
)
@pytest.mark.parametrize("name", ["a.fits", "a.npy"])
def test_axes_of_bands_and_of_length_1(tmp_path, name, shape, expected):
    array = rng.random(shape)
    found = read(tmp_path, name, as_fits(fits.PrimaryHDU(array)) if name == "a.fits" else as_npy(array))
    bands_first = array.reshape([n for n in shape if n > 1] if min(expected) > 1 else shape)
    if len(expected) == 3 and bands_first.shape != expected:
        bands_first = np.moveaxis(bands_first, 0, -1)
    np.testing.assert_array_equal(found, bands_first)
    assert found.dtype.isnative


def test_where_no_axis_is_short_bands_are_where_the_format_has_them(tmp_path):
    array = rng.random((20, 21, 22))
    np.testing.assert_array_equal(read(tmp_path, "a.npy", as_npy(array)), array)
    expected = np.moveaxis(array, 0, -1)
    np.testing.assert_array_equal(read(tmp_path, "a.fits", as_fits(fits.PrimaryHDU(array))), expected)


@pytest.mark.parametrize("name", ["a.fits", "a.fit", "a.FTS", "a.fits.gz", "a.fit.gz", "a.fits.fz"])
def test_fits_by_any_name_zipped_or_not(tmp_path, name):
    np.testing.assert_array_equal(read(tmp_path, name, fit), GREY)
    np.testing.assert_array_equal(read(tmp_path, name, gzip.compress(fit)), GREY)


def test_a_zipped_array(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, "a.npy", gzip.compress(npy)), GREY)
    np.testing.assert_array_equal(read(tmp_path, "a.fits.bz2", bz2.compress(fit)), GREY)


def test_the_last_block_of_fits_may_lack_its_fill(tmp_path):
    array = rng.random((10, 10))
    whole = as_fits(fits.PrimaryHDU(), fits.ImageHDU(array))
    data = len(whole) - 2880 + array.nbytes
    for end in (data, data + 1, len(whole) - 1):
        np.testing.assert_array_equal(read(tmp_path, "a.fits", whole[:end]), array)
    with pytest.raises(UnusableImage, match=f"it is cut off: {data} bytes are declared, {data - 1} are there"):
        read(tmp_path, "a.fits", whole[: data - 1])


def test_the_older_name_of_rice(tmp_path):
    array = np.arange(256, dtype=np.int16).reshape(16, 16)
    content = as_fits(fits.PrimaryHDU(), fits.CompImageHDU(array, compression_type="RICE_1"))
    older = content.replace(b"'RICE_1  '", b"'RICE_ONE'")
    assert older != content
    np.testing.assert_array_equal(read(tmp_path, "a.fits", older), array)


def test_a_missing_file_gives_a_reason(tmp_path):
    with pytest.raises(UnusableImage, match="cannot be read"):
        read_image(tmp_path / "absent.png")


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    with pytest.raises(UnusableImage, match="unpacks to more than 513 MB"):
        read(tmp_path, "a.fits.gz", gzip.compress(bytes(600_000_000), 1))


def stamp(pixels, **changes):
    options = {"is_picture": True, "channel": "green", "crop": None, "size": 8} | changes
    return to_stamp(pixels, **options)


def test_channels():
    pixels = np.stack([np.full((8, 8), v) + np.arange(8) for v in (10.0, 20.0, 30.0)], axis=-1)
    for number, channel in enumerate(("red", "green", "blue")):
        np.testing.assert_array_equal(stamp(pixels, channel=channel), pixels[..., number])
    np.testing.assert_allclose(
        stamp(pixels, channel="luminance")[:, 0], 0.299 * 10 + 0.587 * 20 + 0.114 * 30, rtol=1e-6
    )
    np.testing.assert_array_equal(stamp(pixels, channel="all"), pixels)
    np.testing.assert_array_equal(stamp(pixels[..., 0], channel="blue"), pixels[..., 0])  # grey: nothing to choose
    for number in range(3):
        np.testing.assert_array_equal(stamp(pixels, channel=number), pixels[..., number])
    np.testing.assert_array_equal(stamp(pixels[..., 0], channel=0), pixels[..., 0])
    with pytest.raises(UnusableImage, match="has 3 bands, so no band 3; they count from 0"):
        stamp(pixels, channel=3)
    with pytest.raises(UnusableImage, match="has 1 band, so no band 1"):
        stamp(pixels[..., 0], channel=1)


@pytest.mark.parametrize(
    ("shape", "is_picture", "crop", "start", "used"),
    [
        ((423, 423), True, None, 115, 192),  # Galaxy Zoo pictures: three times 64
        ((150, 160), True, None, 11, 128),  # what fits: twice
        ((100, 100), True, None, 18, 64),
        ((100, 101), False, None, 18, 64),  # survey stamps keep their pixels
        ((101, 101), False, 96, 2, 96),
    ],
)
def test_the_middle_is_cropped_and_averaged(shape, is_picture, crop, start, used):
    pixels = rng.random(shape, dtype=np.float32)
    found = stamp(pixels, is_picture=is_picture, crop=crop, size=64)
    left = (shape[1] - used) // 2
    middle = pixels[start : start + used, left : left + used]
    expected = middle if used == 64 else cv2.resize(middle, (64, 64), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32


def test_several_bands_are_averaged_one_by_one():
    pixels = rng.random((16, 16, 6), dtype=np.float32)
    found = stamp(pixels, channel="all", crop=16)
    np.testing.assert_allclose(found, pixels.reshape(8, 2, 8, 2, 6).mean(axis=(1, 3)), rtol=1e-6)


with_nan = rng.random((8, 8))
with_nan[2, 3] = with_nan[4, 4] = np.nan


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((7, 9)), "is blank: all pixels are 0"),
        (with_nan, "has 2 NaN, infinite or too large pixels"),
        (np.full((8, 8), 1e300) * np.eye(8), "has 8 NaN, infinite or too large pixels"),
        (np.full((8, 8), 3, np.uint8), "is blank: all pixels are 3"),
        (
            np.zeros((8, 8, 2)),
            "has 2 bands, so no green one; use --channel all, or a band's number: --channel 0 ... 1, or several: --bands 0 1",
        ),
        (
            np.zeros((8, 8, 5)),
            "has 5 bands, so no green one; use --channel all, or a band's number: --channel 0 ... 4, or several: --bands 0 1",
        ),
        (np.zeros((8, 8), complex), "has pixels of type complex128, not numbers"),
        (np.zeros((8, 8), bool), "has pixels of type bool, not numbers"),
    ],
)
def test_pixels_that_cannot_be_used_give_a_reason(pixels, reason):
    with pytest.raises(UnusableImage) as caught:
        stamp(pixels)
    assert str(caught.value) == reason


def test_band_names():
    assert band_names("green", 3, 1, is_picture=True) == ("green",)
    assert band_names("green", 2, 1, is_picture=True) == ("grey",)
    assert band_names(3, 3, 1, is_picture=False) == ("band3",)
    assert band_names("all", 3, 3, is_picture=True) == ("red", "green", "blue")
    assert band_names("all", 3, 2, is_picture=False) == ("band0", "band1")


@pytest.mark.parametrize("name", ["a.png", "a.jpeg", "a.npy", "a.fits", "a.fits.gz"])
@settings(deadline=None, derandomize=True, max_examples=60, database=None)
@given(data=st.data())
def test_mutated_files_are_decoded_or_refused_and_nothing_else(tmp_path_factory, name, data):
    content = {"a.png": png, "a.jpeg": jpeg, "a.npy": npy, "a.fits": fit, "a.fits.gz": gzip.compress(fit)}[name]
    mutated = bytearray(content[: data.draw(st.integers(1, len(content)))])
    for _ in range(data.draw(st.integers(0, 8))):
        header = st.integers(0, min(len(mutated), 400) - 1)
        mutated[data.draw(header | st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnusableImage):
        pixels = read(tmp_path_factory.mktemp("mutated"), name, bytes(mutated))
        assert np.isfinite(stamp(pixels, is_picture=name[2] in "pj")).all()
