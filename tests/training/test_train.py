"""The call, and what its ensemble says, keeps and refuses."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from astropy.table import Table

import galjax
from galjax.config.json_form import to_json
from galjax.draw import Split, draw_balanced, make_pool
from galjax.io import stored_arrays
from galjax.training.repeats import repeat_keys
from galjax.training.sky import in_words, measure_sky
from galjax.training.train import TrainOptions
from tests.experiments.test_resolution_sweep import run

SMALL = galjax.NetworkConfig(filters=(4, 4, 4), dense_units=(16,), input_scaling="asinh", padding="same")
LEARNS = galjax.OptimiserConfig(learning_rate=0.02)


def arrays(count=60, size=16, seed=0):
    """Noise, and a bright square in every second image; which those are."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = rng.standard_normal((count, size, size))
    images[labels == 1, size // 4 : size // 2, size // 4 : size // 2] += 2
    return images, labels


@pytest.fixture(scope="module")
def sample():
    images, labels = arrays()
    return galjax.GalaxySample.from_arrays(images, labels, class_names=["empty", "square"], ids=np.arange(60) + 1000)


@pytest.fixture(scope="module")
def ensemble(sample):
    return galjax.train(
        sample,
        repeats=3,
        epochs=40,
        augment="none",
        seed=1,
        network=SMALL,
        optimiser=LEARNS,
        conditions=[(2, "nearest")],
    )


def test_it_learns_and_measures_every_repeat_on_its_own_test_galaxies(ensemble, sample):
    assert ensemble.accuracy().shape == (3,)
    assert ensemble.accuracy().mean() > 0.8
    assert ensemble.auc().mean() > 0.8
    predictions = ensemble.test_predictions()
    assert predictions.colnames == ["repeat", "id", "true", "predicted", "p_empty", "p_square"]
    drawn = np.asarray(draw_balanced(sample.labels, sample.class_names, 30, repeat_keys(1, range(3)).draw).test)
    for repeat in range(3):
        own = predictions[predictions["repeat"] == repeat]
        assert own["id"].tolist() == sample.ids[drawn[repeat]].tolist()
        assert (own["true"] == own["predicted"]).mean() == pytest.approx(ensemble.accuracy()[repeat])
    assert (predictions["predicted"] == np.where(predictions["p_square"] > 0.5, "square", "empty")).all()


def test_an_accuracy_measured_while_training_equals_one_measured_afterwards(ensemble):
    forgotten = dataclasses.replace(ensemble, about=dataclasses.replace(ensemble.about, measured=()))
    for condition in ((1, "bilinear"), (2, "nearest")):
        np.testing.assert_allclose(forgotten.accuracy(*condition), ensemble.accuracy(*condition))
        np.testing.assert_allclose(forgotten.auc(*condition), ensemble.auc(*condition), rtol=1e-6)
    assert forgotten.accuracy(4, "bicubic").shape == forgotten.auc(4, "bicubic").shape == (3,)


def test_predictions_of_new_galaxies_are_means_over_the_networks(ensemble):
    images, labels = arrays(count=21, seed=5)
    found = ensemble.predict(images)
    assert found.colnames == ["id", "class", "p_empty", "p_square", "std_empty", "std_square"]
    each = ensemble.probabilities(images)
    assert each.shape == (3, 21, 2)
    np.testing.assert_allclose(each.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(found["p_square"], each[:, :, 1].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found["std_square"], each[:, :, 1].std(axis=0, ddof=1), rtol=1e-4)
    assert (found["class"] == np.array(["empty", "square"])[labels]).mean() > 0.9
    assert found["id"].tolist() == list(range(21))
    unlabelled = galjax.GalaxySample.from_arrays(images, ids=[f"G{n}" for n in range(21)])
    assert ensemble.predict(unlabelled)["id"][3] == "G3"


def test_many_galaxies_are_classified_in_parts(ensemble, monkeypatch):
    images, _ = arrays(count=21, seed=5)
    whole = ensemble.probabilities(images)
    monkeypatch.setattr("galjax.training.applying.GALAXIES_AT_ONCE", 8)
    np.testing.assert_allclose(ensemble.probabilities(images), whole, rtol=1e-5)


def test_a_saved_ensemble_says_the_same(ensemble, tmp_path, capfd):
    ensemble.save(tmp_path / "net")
    ensemble.save(tmp_path / "net")  # replaces it
    loaded = galjax.load(tmp_path / "net")
    images, _ = arrays(count=9, seed=2)
    np.testing.assert_array_equal(loaded.probabilities(images), ensemble.probabilities(images))
    assert to_json(loaded.about) == to_json(ensemble.about)  # NaN equals NaN
    assert repr(loaded) == "Ensemble(3 repeats of 40 epochs, empty / square, 16x16 px, grey)"
    np.testing.assert_array_equal(loaded.accuracy(2, "nearest"), ensemble.accuracy(2, "nearest"))
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
    assert capfd.readouterr().err == ""  # no word of orbax
    with pytest.raises(
        galjax.InputError, match=r"measured at Original, 1/2 nearest only, not at 1/4 bilinear\. Train with"
    ):
        loaded.accuracy(4, "bilinear")
    with pytest.raises(galjax.InputError, match=r"A run folder has test_predictions\.ecsv"):
        loaded.test_predictions()


def test_what_is_no_ensemble_or_a_damaged_one_gets_a_sentence(ensemble, tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(galjax.InputError, match="is there already, and holds no ensemble"):
        ensemble.save(tmp_path / "other")
    with pytest.raises(galjax.InputError, match="holds no ensemble"):
        galjax.load(tmp_path / "other")
    ensemble.save(tmp_path / "net")
    described = tmp_path / "net" / "ensemble.json"
    text = described.read_text()
    for spoiled, sentence in (
        (text.replace('"format": 5', '"format": 3'), "is of version 3, and this galjax reads version 5"),
        (text[:40], "is damaged"),
        (text.replace("class_names", "names"), "is damaged"),
    ):
        described.write_text(spoiled)
        with pytest.raises(galjax.InputError, match=sentence):
            galjax.load(tmp_path / "net")
    described.write_text(text)
    shutil.rmtree(tmp_path / "net" / "40" / "arrays")
    with pytest.raises(galjax.InputError, match="is damaged"):
        galjax.load(tmp_path / "net")


def test_a_full_disk_keeps_the_ensemble_that_was_there(ensemble, tmp_path, monkeypatch):
    ensemble.save(tmp_path / "net")
    monkeypatch.setattr(stored_arrays, "to_save", lambda arrays: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(galjax.InputError, match=r"Cannot write the trained networks into .*No space left"):
        ensemble.save(tmp_path / "net")
    assert repr(galjax.load(tmp_path / "net")) == repr(ensemble)
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (
            np.zeros((3, 8, 8)),
            r"classify images of 16x16 px with 1 band\(s\) \(grey\), not arrays of shape \(3, 8, 8\)",
        ),
        (np.zeros((3, 16, 16, 2)), r"with 1 band\(s\) \(grey\), not arrays of shape \(3, 16, 16, 2\)"),
        (np.zeros((16, 16)), r"not float64 of shape \(16, 16\)"),
        (np.full((2, 16, 16), "a"), "Images are numbers"),
        (np.full((2, 16, 16), np.nan), "2 of 2 images hold NaN or infinite pixels, the first is number 0"),
        (np.zeros((0, 16, 16)), "not arrays of shape"),
    ],
)
def test_images_that_do_not_fit_get_a_sentence(ensemble, images, sentence):
    with pytest.raises(galjax.InputError, match=sentence):
        ensemble.predict(images)


def test_bands_in_another_order_get_a_sentence():
    images, labels = arrays(count=24)
    coloured = np.stack([images, images / 2], axis=-1)
    sample = galjax.GalaxySample.from_arrays(coloured, labels, bands=("g", "r"))
    ensemble = galjax.train(sample, augment="none", repeats=1, epochs=1, network=SMALL)
    assert np.isnan(ensemble.predict(coloured)["std_class 0"]).all()  # of a single network
    swapped = galjax.GalaxySample.from_arrays(coloured[..., ::-1], bands=("r", "g"))
    with pytest.raises(galjax.InputError, match="The bands are in the order r, g; these networks take g, r"):
        ensemble.predict(swapped)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"per_clas": 3}, "train\\(\\) has no option 'per_clas'; its options are repeats, epochs, seed, per_class"),
        ({"per_class": 31}, "A draw of 31 galaxies per class is not possible"),
        ({"classes": ["square", "ring"]}, "The sample has no class 'ring'"),
        ({"repeats": 0}, "repeats must be at least 1"),
        ({"epochs": 0}, "--epochs must be at least 1"),
        ({"conditions": [(99, "nearest")]}, "can be shrunk by factors 1 to 16, not by 99"),
        ({"conditions": [(2, "sharpest")]}, "There is no resampling method 'sharpest'"),
    ],
)
def test_wrong_options_get_a_sentence(sample, options, sentence):
    with pytest.raises(galjax.InputError, match=sentence):
        galjax.train(sample, **{"network": SMALL, "epochs": 1, "repeats": 1, **options})


def test_a_sample_without_labels_is_not_trained_on():
    with pytest.raises(galjax.InputError, match="The sample has no labels to train on"):
        galjax.train(galjax.GalaxySample.from_arrays(arrays()[0]))


def test_every_option_of_the_call_has_a_meaning(sample):
    """That of one epoch with all of them; a batch larger than the training set is made to fit."""
    told = []

    class Heard:
        def note(self, text):
            told.append(text)

        def begin(self, label, done, total):
            told.append((done, total))

        def advance(self, epoch, loss, accuracy):
            told.append(epoch)

    options = {
        "per_class": 4,
        "classes": ["square", "empty"],
        "test_fraction": 0.5,
        "conditions": [(2, "bicubic")],
        "network": SMALL,
        "optimiser": LEARNS,
        "execution": galjax.ExecutionConfig(lowering="xla"),
        "augment": galjax.AugmentConfig("dihedral"),
        "progress": Heard(),
    }
    assert set(options) == {field.name for field in dataclasses.fields(TrainOptions)}
    ensemble = galjax.train(sample, repeats=2, epochs=1, **options)
    assert ensemble.about.class_names == ("square", "empty")
    assert [(m.factor, m.method) for m in ensemble.about.measured] == [(1, "none"), (2, "bicubic")]
    assert len(ensemble.test_predictions()) == 2 * 2 * 2
    assert told[0] == (0, 1)
    assert told[-1] == 1.0


FEW = ["--factors", 2, "--methods", "nearest", "--epochs", 30, "--evaluate-every", 2, "--learning-rate", 0.1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a run that learned. Far enough from chance that another scaling, order of classes or epoch would not do."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert run("--out", out, "--keep-ensemble", 2, "--usable-accuracy", 0, "--usable-loss", 1, *FEW) == 0
    return out


def test_the_ensemble_of_a_run_gives_the_accuracy_that_was_measured(folder):
    ensemble = galjax.load(folder)
    about = ensemble.about
    assert (about.repeats, about.image_size, about.bands) == ((0, 1), (32, 32), ("r",))
    assert (about.class_names, about.pixel_scale) == (("spiral", "elliptical"), 0.396)
    assert (about.network.filters, about.network.input_scaling) == ((4, 4, 4), "sky")
    results = Table.read(folder / "results.ecsv")
    chosen = results[(results["selection"] == "validation") & (results["repeat"] < 2)]
    assert set(chosen["epoch"]) == {about.epoch}
    assert about.epoch < 30  # else the last epoch would do
    assert about.selection == "validation"
    for factor, method in ((1, "none"), (2, "nearest")):
        measured = chosen["accuracy"][chosen["factor"] == factor]
        np.testing.assert_array_equal(ensemble.accuracy(factor, method), measured)
    sample = galjax.simulate(galjax.SimulatedSurvey(galaxies=120, image_size=32))
    pool = make_pool(sample, about.class_names)
    tested = np.asarray(draw_balanced(pool.labels, pool.class_names, 20, repeat_keys(0, range(2)).draw).test)
    right = ensemble.probabilities(pool).argmax(axis=-1) == pool.labels
    assert [right[repeat, own].mean() for repeat, own in enumerate(tested)] == ensemble.accuracy().tolist()
    assert ensemble.accuracy().tolist() != [0.5] * 2
    other = dataclasses.replace(about, network=dataclasses.replace(about.network, input_scaling="none"))
    unscaled = dataclasses.replace(ensemble, about=other).probabilities(pool).argmax(axis=-1) == pool.labels
    assert [unscaled[repeat, own].mean() for repeat, own in enumerate(tested)] != ensemble.accuracy().tolist()
    assert about.trained_on["digest"] == pool.digest()
    keys = repeat_keys(0, range(3)).draw
    drawn = draw_balanced(pool.labels, pool.class_names, 20, keys, Split(0.3, 0.1))
    sky = measure_sky(pool.images[..., None], np.asarray(drawn.train))
    np.testing.assert_array_equal(about.sky_array(), np.asarray(sky)[:, :2])
    said = json.loads((folder / "environment.json").read_text())["input_scaling"]["per_class_20"]
    assert said == in_words("sky", sky, ("r",))
    assert json.loads((folder / "config.json").read_text())["config"]["training"]["network"]["input_scaling"] == "sky"


def test_a_run_says_what_each_repeat_said_of_its_test_galaxies(folder):
    predictions, results = (Table.read(folder / f"{name}.ecsv") for name in ("test_predictions", "results"))
    results = results[results["selection"] != "test-mean"]
    keys = ("factor", "method", "selection", "epoch", "repeat")
    assert set(zip(*(predictions[key] for key in keys), strict=True)) == set(
        zip(*(results[key] for key in keys), strict=True)
    )
    for row in results:
        own = np.all([predictions[key] == row[key] for key in keys], axis=0)
        right = predictions["predicted"][own] == predictions["true"][own]
        assert right.mean() == pytest.approx(row["accuracy"])


@pytest.mark.thorough
def test_the_networks_of_a_run_and_what_they_say_are_those_of_an_undisturbed_one_after_more_epochs(tmp_path):
    """Its last epoch, of which a longer training has no evaluation, is the best that it had."""
    few = ["--usable-accuracy", 0, "--usable-loss", 1, *FEW[:4]]
    for out, epochs in ((tmp_path / "run", 5), (tmp_path / "run", 9), (tmp_path / "whole", 9)):
        assert run("--out", out, *few, "--epochs", epochs, "--evaluate-every", 2, "--learning-rate", 0.02) == 0
    resumed, whole = (galjax.load(tmp_path / name) for name in ("run", "whole"))
    assert resumed.about == whole.about
    jax.tree.map(np.testing.assert_array_equal, dict(resumed.parameters), dict(whole.parameters))
    for name in ("test_predictions", "results", "summary"):
        assert (tmp_path / "run" / f"{name}.ecsv").read_bytes() == (tmp_path / "whole" / f"{name}.ecsv").read_bytes()


@pytest.mark.parametrize(("flags", "factors"), [([], {1}), (["--all-predictions"], {1, 2})])
def test_predictions_are_those_of_original_and_the_coarsest_usable_or_of_all(tmp_path, capsys, flags, factors):
    """Also where no network is kept. The screen says how pixels were scaled."""
    assert run("--out", tmp_path, *FEW[:4], "--usable-accuracy", 1, "--keep-ensemble", "none", *flags) == 0
    assert set(Table.read(tmp_path / "test_predictions.ecsv")["factor"]) == factors
    assert not (tmp_path / "ensemble").exists()
    (said,) = json.loads((tmp_path / "environment.json").read_text())["input_scaling"].values()
    assert said in " ".join(capsys.readouterr().out.split())


def test_a_call_trains_as_a_run_does(tmp_path):
    assert (
        run(
            "--out",
            tmp_path,
            "--factors",
            2,
            "--methods",
            "nearest",
            "--epochs",
            6,
            "--evaluate-every",
            6,
            "--validation-fraction",
            0,
        )
        == 0
    )
    config = json.loads((tmp_path / "config.json").read_text())["config"]
    pool = make_pool(galjax.simulate(galjax.SimulatedSurvey(galaxies=120, image_size=32)), ("spiral", "elliptical"))
    called = galjax.train(
        pool,
        augment="none",
        repeats=config["repeats"],
        epochs=6,
        per_class=20,
        conditions=[(2, "nearest")],
        network=galjax.NetworkConfig(
            filters=(4, 4, 4), dense_units=tuple(config["training"]["network"]["dense_units"])
        ),
    )
    kept = galjax.load(tmp_path)
    np.testing.assert_array_equal(called.probabilities(pool), kept.probabilities(pool))
    assert called.about.measured == kept.about.measured
