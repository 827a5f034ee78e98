"""`galjax simulate`: a saved sample of rendered galaxies."""

import numpy as np

import galjax
from galjax.cli.main import main


def test_galaxies_are_saved_as_an_instrument_sees_them(tmp_path, capsys):
    out = tmp_path / "survey.fits"
    assert (
        main(["simulate", str(out), "--galaxies", "10", "--image-size", "16", "--pixel-scale", "1.584", "--seed", "3"])
        == 0
    )
    sample = galjax.GalaxySample.load(out)
    same = galjax.simulate(galjax.SimulatedSurvey(galaxies=10, image_size=16, pixel_scale=1.584), seed=3)
    np.testing.assert_array_equal(sample.images, same.images)
    assert f"Saved in {out}" in capsys.readouterr().out
    assert main(["simulate", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_wrong_arguments_get_a_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for arguments, sentence in (
        ([], "needs a file that ends in .fits"),
        ([str(tmp_path / "survey.csv")], "needs a file that ends in .fits"),
        ([str(tmp_path / "a.fits"), "--seed", "-1"], "--seed must lie"),
        ([str(tmp_path / "a.fits"), "--image-size", "2"], "must be at least 8 px"),
        ([str(tmp_path / "a.fits"), "--galaxies", "0"], "--galaxies must lie in"),
        ([str(tmp_path / "file" / "a.fits"), "--galaxies", "2", "--image-size", "8"], "Cannot write"),
    ):
        assert main(["simulate", *arguments]) == 2
        assert sentence in capsys.readouterr().err


def test_wide_pixels_do_not_widen_the_core():
    # The light of a 4 x 4 block of pixels, and of one pixel as wide.
    fine = galjax.simulate(galjax.SimulatedSurvey(galaxies=6, cutout="round", read_noise=0.0, gain=1e6), seed=2)
    wide = galjax.simulate(
        galjax.SimulatedSurvey(
            galaxies=6, image_size=16, pixel_scale=4 * 0.396, cutout="round", read_noise=0.0, gain=1e6
        ),
        seed=2,
    )
    peaks = fine.images.reshape(6, 16, 4, 16, 4).sum(axis=(2, 4)).max(axis=(1, 2))
    # Centres lie within a pixel, so that a wide one holds more or less of the core: the sums over all agree.
    total = wide.images.sum(axis=(1, 2)) / fine.images.sum(axis=(1, 2))
    np.testing.assert_allclose(total, 1, atol=0.1)
    assert (wide.images.max(axis=(1, 2)) / peaks > 0.6).all()
