"""Pixel scales and places on the sky by the headers of FITS images."""

import bz2
import math

import numpy as np
import pytest
from astropy.coordinates import FK4, SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

import galjax
from galjax.cli.main import main
from galjax.sources.files.image_header import read_image_header, understand


def coordinates(scale, *, rotation=0.3, ratio=1.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150, 2], [4, 4]
    turned = np.array([[np.cos(rotation), -np.sin(rotation)], [np.sin(rotation), np.cos(rotation)]])
    wcs.wcs.cd = turned @ np.diag([-scale / 3600, ratio * scale / 3600])
    return wcs.to_header()


def write(path, header, bands=None):
    shape = (bands, 16, 16) if bands else (16, 16)
    pixels = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    fits.writeto(path, pixels, header)


def test_the_scale_is_that_of_the_coordinates(tmp_path):
    assert understand(coordinates(0.396)).scale == pytest.approx(0.396)
    cdelt = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -1 / 3600, "CDELT2": 1 / 3600})
    assert understand(cdelt).scale == pytest.approx(1)
    write(tmp_path / "a.fits", coordinates(0.2), bands=3)
    assert read_image_header(tmp_path / "a.fits").scale == pytest.approx(0.2)
    (tmp_path / "b.fits.bz2").write_bytes(bz2.compress((tmp_path / "a.fits").read_bytes()))
    assert read_image_header(tmp_path / "b.fits.bz2").scale == pytest.approx(0.2)


def test_what_says_no_scale_gives_none(tmp_path):
    linear = fits.Header({"CTYPE1": "LINEAR", "CTYPE2": "LINEAR", "CDELT1": 1.0, "CDELT2": 1.0})
    for header in (fits.Header(), linear, coordinates(0.4, ratio=2), coordinates(1e5)):
        assert math.isnan(understand(header).scale)
    (tmp_path / "a.fits").write_bytes(b"no FITS")
    assert math.isnan(read_image_header(tmp_path / "a.fits").scale)
    assert math.isnan(read_image_header(tmp_path / "none.fits").scale)


def test_images_that_agree_give_a_sample_its_scale(tmp_path, capsys):
    for name, scales in {"same": (0.396, 0.396, 0.3961), "unequal": (0.396, 0.2, 0.396)}.items():
        (tmp_path / name).mkdir()
        for number, scale in enumerate(scales):
            write(tmp_path / name / f"{number}.fits", coordinates(scale))
    assert galjax.read(tmp_path / "same", image_size=16).pixel_scale == pytest.approx(0.396, rel=1e-3)
    assert galjax.read(tmp_path / "same", image_size=16, pixel_scale=0.5).pixel_scale == 0.5
    assert math.isnan(galjax.read(tmp_path / "unequal", image_size=16).pixel_scale)
    assert main(["check", str(tmp_path / "same"), "--image-size", "16"]) == 0
    assert "Pixel scale: 0.396 arcsec per pixel." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "cards", "place"),
    [
        ("RA---TAN DEC--TAN", {}, (180, 10)),
        ("RA---TAN DEC--TAN", {"RADESYS": "FK5", "EQUINOX": 2000.0}, (180, 10)),
        ("DEC--TAN RA---TAN", {}, (10, 180)),  # the axes the other way round
        ("GLON-TAN GLAT-TAN", {}, None),
        ("RA---TAN DEC--TAN", {"RADESYS": "FK4", "EQUINOX": 1950.0}, None),
    ],
)
def test_the_middle_lies_where_the_coordinates_say(kind, cards, place):
    first, second = kind.split()
    header = fits.Header({"NAXIS": 2, "NAXIS1": 21, "NAXIS2": 11, "CTYPE1": first, "CTYPE2": second, **cards})
    header.update(CRPIX1=11, CRPIX2=6, CDELT1=-1e-4, CDELT2=1e-4)
    values = place or (120, 30)
    header.update(CRVAL1=values[0], CRVAL2=values[1])
    found = understand(header)
    if place is None:
        frame = "galactic" if first.startswith("G") else FK4(equinox="B1950")
        expected = SkyCoord(*values, unit="deg", frame=frame).icrs
        np.testing.assert_allclose([found.ra, found.dec], [expected.ra.deg, expected.dec.deg], atol=1e-6)
    else:
        np.testing.assert_allclose([found.ra, found.dec], [180, 10], atol=1e-9)


def test_without_coordinates_there_is_no_place(tmp_path):
    assert np.isnan(understand(fits.Header())).all()
    header = coordinates(0.4, ratio=2)  # no one scale, but a place
    assert math.isnan(understand(header).scale)
    assert math.isfinite(understand(header).ra)
