import dataclasses

import cv2
import numpy as np
import pytest
from astropy.table import Table

from experiments import cross_survey
from galjax.sources.simulated.survey import HSC_WIDE, SimulatedSurvey, simulate

GALAXIES = {"galaxies": 70, "class_fractions": (0.5, 0.5, 0.0)}
TINY = "--per-class 15 --repeats 2 --epochs 1 --evaluate-every 1 --filters 4 4 4 --dense-units 8".split()


def test_two_saved_samples_are_matched_by_id(tmp_path, capsys):
    coarse = simulate(SimulatedSurvey(image_size=32, **GALAXIES), seed=3)
    sharp = simulate(dataclasses.replace(HSC_WIDE, image_size=75, **GALAXIES), seed=3)
    coarse.take(np.arange(5, 70)).save(tmp_path / "coarse.fits")
    sharp.take(np.arange(69, -1, -1)[:65]).save(tmp_path / "sharp.fits")
    out = tmp_path / "run"
    command = [
        *TINY,
        "--data",
        str(tmp_path / "coarse.fits"),
        "--sharp.data",
        str(tmp_path / "sharp.fits"),
        "--out",
        str(out),
    ]
    assert cross_survey.main(command) == 0
    said = capsys.readouterr().out
    assert "The step of the seeing was left out: --coarse-seeing and --sharp-seeing are not given." in said
    results = Table.read(out / "results.ecsv")
    assert list(dict.fromkeys(results["tested_on"])) == [
        "sharp",
        "sharp + pixel size",
        "sharp + noise",
        "sharp + pixel size + noise",
        "coarse",
    ]
    excluded = Table.read(out / "excluded.ecsv")
    assert (excluded["reason"] == "not among the coarse images").sum() == 0  # 65 of 70 in both, the last 65
    assert len(excluded) == (np.asarray(excluded["reason"]) != "").sum()

    further = ["--coarse-seeing", "1.3", "--sharp-seeing", "0.6", "--noise-unit", "training"]
    assert cross_survey.main([*command[:-1], str(tmp_path / "two"), *further]) == 0
    names = ("sharp_test_loss", "coarse_test_loss")
    own, training = (
        [np.load(folder / "history.npz")[name][0][:, -1] for name in names] for folder in (out, tmp_path / "two")
    )
    on_own, on_other = ([(0, 0), (1, -1)], [(0, -1), (1, 0)])  # networks of sharp and of coarse images
    for trained_on, tested_on in on_own:
        np.testing.assert_allclose(own[trained_on][:, tested_on], training[trained_on][:, tested_on], rtol=1e-4)
    for trained_on, tested_on in on_other:
        assert np.abs(own[trained_on][:, tested_on] / training[trained_on][:, tested_on] - 1).min() > 1e-3
    assert "sharp + seeing" in Table.read(tmp_path / "two" / "summary.ecsv")["tested_on"]


def test_recipes_are_trained_on_the_sharp_images_too_and_compared(tmp_path, capsys):
    sizes = "--simulated.galaxies 70 --simulated.class-fractions 0.5 0.5 0 --simulated.pixel-scale 0.396 --simulated.image-size 32".split()
    recipes = [
        "--sharp.simulated.image-size",
        "75",
        "--recipes",
        "dihedral",
        "all",
        "--recipe-seeing",
        "2",
        "--recipe-noise",
        "1",
    ]
    out = tmp_path / "run"
    assert cross_survey.main([*TINY, *sizes, *recipes, "--out", str(out)]) == 0
    table = Table.read(out / "recipes.ecsv")
    assert table["recipe"].tolist() == ["dihedral"] * 4 + ["all"] * 4
    results = Table.read(out / "results.ecsv")
    last = results[results["selection"] == "last"]

    def reached(trained_on, tested_on):
        own = last[(last["trained_on"] == trained_on) & (last["tested_on"] == tested_on)]
        return np.mean(own["accuracy"])

    for row in table[table["recipe"] == "all"]:  # one epoch: the leading one is the last
        if row["part"] == "sharp → coarse":
            assert row["accuracy"] == pytest.approx(reached("sharp, all", "coarse"))
            assert row["difference"] == pytest.approx(reached("sharp, all", "coarse") - reached("sharp", "coarse"))
        if row["part"].startswith("left"):
            assert row["difference"] == pytest.approx(reached("coarse", "coarse") - reached("sharp, all", "coarse"))
    assert set(Table.read(out / "recipes_attribution.ecsv")["recipe"]) == {"dihedral", "all"}
    assert "Trained on sharp images with all, against without: sharp → sharp" in " ".join(
        capsys.readouterr().out.split()
    )
    assert cross_survey.main(["--recipes", "dihedral", "--recipe-noise", "1"]) == 2
    assert "--recipe-noise is of the recipe all" in capsys.readouterr().err


@pytest.mark.thorough
def test_coarse_images_may_keep_their_own_size(tmp_path, capsys):
    out = tmp_path / "run"
    flags = ["--simulated.galaxies", "70", "--simulated.image-size", "32", "--sharp.simulated.image-size", "75"]
    assert cross_survey.main([*TINY, *flags, "--coarse-size", "own", "--out", str(out)]) == 0
    results = Table.read(out / "results.ecsv")
    assert set(results["tested_on"][results["trained_on"] == "coarse"]) == {"coarse"}
    assert len(set(results["tested_on"][results["trained_on"] == "sharp"])) == 9
    assert len(Table.read(out / "conditions.ecsv")) == 3
    assert (
        "coarse → coarse is at 32x32 px, the other two at 75x75 px, as in the thesis"
        in (out / "report.html").read_text()
    )
    with np.load(out / "history.npz") as history:
        assert history["coarse_condition_view"].tolist() == ["coarse"]
        assert len(history["sharp_condition_view"]) == history["sharp_test_confusion"].shape[3] == 9
    assert "nan" not in capsys.readouterr().out


def test_pictures_shrunk_by_different_factors_are_no_ground_to_match_the_seeing(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name, sizes in {"coarse": (32, 32), "sharp": (80, 250)}.items():
        (tmp_path / name / "images").mkdir(parents=True)
        for number, size in enumerate(sizes):
            picture = rng.integers(0, 255, (size, size, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / name / "images" / f"{number}.png"), picture)
        (tmp_path / name / "catalogue.csv").write_text("id,SPIRAL,ELLIPTICAL\n0,1,0\n1,0,1\n")
    command = [
        *TINY,
        "--data",
        str(tmp_path / "coarse"),
        "--image-size",
        "32",
        "--pixel-scale",
        "0.4",
        "--out",
        str(tmp_path / "run"),
        "--sharp.data",
        str(tmp_path / "sharp"),
        "--sharp.image-size",
        "75",
        "--sharp.pixel-scale",
        "0.17",
        "--coarse-seeing",
        "1.3",
        "--sharp-seeing",
        "0.6",
    ]
    assert cross_survey.main(command) == 2
    said = capsys.readouterr()
    assert "shrunk by different factors, 1 (1 image), 3 (1 image)" in " ".join(said.out.split())
    assert "their pixel scale must be known" in said.err
    assert not (tmp_path / "run").exists()
