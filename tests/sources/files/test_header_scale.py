"""Pixel scales by the headers of FITS images."""

import bz2
import math

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

import galjax
from galjax.cli.main import main
from galjax.sources.files.header_scale import header_scale, scale_of_header


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
    assert scale_of_header(coordinates(0.396)) == pytest.approx(0.396)
    cdelt = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -1 / 3600, "CDELT2": 1 / 3600})
    assert scale_of_header(cdelt) == pytest.approx(1)
    write(tmp_path / "a.fits", coordinates(0.2), bands=3)
    assert header_scale(tmp_path / "a.fits") == pytest.approx(0.2)
    (tmp_path / "b.fits.bz2").write_bytes(bz2.compress((tmp_path / "a.fits").read_bytes()))
    assert header_scale(tmp_path / "b.fits.bz2") == pytest.approx(0.2)


def test_what_says_no_scale_gives_none(tmp_path):
    linear = fits.Header({"CTYPE1": "LINEAR", "CTYPE2": "LINEAR", "CDELT1": 1.0, "CDELT2": 1.0})
    for header in (fits.Header(), linear, coordinates(0.4, ratio=2), coordinates(1e5)):
        assert math.isnan(scale_of_header(header))
    (tmp_path / "a.fits").write_bytes(b"no FITS")
    assert math.isnan(header_scale(tmp_path / "a.fits"))
    assert math.isnan(header_scale(tmp_path / "none.fits"))


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
