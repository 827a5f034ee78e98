"""`galjax classify`: trained networks and galaxies in, a catalogue out."""

import json
import shutil
import signal
import weakref

import numpy as np
import pyarrow.parquet
import pytest
from astropy.io import fits
from astropy.table import Table

import galjax
from galjax.catalogue import stream
from galjax.catalogue.parts import Parts, Stretch, from_arrow
from galjax.cli import classify as verb
from galjax.cli.main import main
from galjax.training.classify import NOT_FINITE, UNUSABLE
from tests.training import test_train
from tests.training.test_train import LEARNS, arrays


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    images, labels = arrays()
    sample = galjax.GalaxySample.from_arrays(images, labels, class_names=["empty", "square"], pixel_scale=0.4)
    conditions = [(2, "nearest"), (4, "nearest")]
    trained = galjax.train(
        sample,
        repeats=2,
        epochs=40,
        augment="none",
        seed=1,
        network=test_train.SMALL,
        optimiser=LEARNS,
        conditions=conditions,
    )
    place = tmp_path_factory.mktemp("model") / "net"
    trained.save(place)
    return place


@pytest.fixture
def data(tmp_path):
    images, labels = arrays(count=50, seed=5)
    path = tmp_path / "stamps.npz"
    np.savez(
        path,
        images=images,
        label=np.array(["empty", "square"])[labels],
        id=np.arange(50) + 7,
        ra=np.arange(50) / 3,
        dec=-np.arange(50.0),
    )
    return path


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(stream, "batch_of", lambda job: 16)


def classify(net, data, out, *more):
    return main(
        ["classify", "--model", str(net), "--data", str(data), "--out", str(out), "--enlarge", "nearest", *more]
    )


def test_every_format_holds_what_the_call_says(net, data, tmp_path, capsys):
    called = galjax.load(net).classify(np.load(data)["images"], method="nearest")
    for ending in ("fits", "ecsv", "vot", "parquet", "hdf5", "csv"):
        out = tmp_path / f"catalogue.{ending}"
        assert classify(net, data, out, "--no-report") == 0
        if ending == "parquet":
            table = from_arrow(pyarrow.parquet.read_table(out))
        else:
            table = Table.read(out, **({"path": "catalogue"} if ending == "hdf5" else {}))
        assert np.asarray(table["id"]).tolist() == (np.arange(50) + 7).tolist()
        np.testing.assert_allclose(np.asarray(table["p_square"]), called["p_square"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(np.asarray(table["ra"]), np.arange(50) / 3, rtol=1e-12)
        assert [str(name) for name in table["class"].astype(str)] == called["class"].tolist()
        assert np.asarray(table["flags"]).tolist() == called["flags"].tolist()
        if ending not in ("csv",):
            assert str(table["ra"].unit) == "deg"
        if ending in ("ecsv", "vot", "hdf5"):
            assert "not classified" in table["flags"].description
    described = pyarrow.parquet.read_schema(tmp_path / "catalogue.parquet")
    assert b"not classified" in described.field("flags").metadata[b"description"]
    assert not list(tmp_path.glob("*.parts"))
    assert "50 of 50 galaxies are classified" in capsys.readouterr().out


def test_the_report_says_how_far_the_catalogue_can_be_trusted(net, data, tmp_path, capsys):
    assert classify(net, data, tmp_path / "catalogue.fits") == 0
    page = (tmp_path / "catalogue.html").read_text()
    for words in (
        "Galaxies to look at",
        "Calibration at each resolution",
        "Against the labels given",
        "calibration error",
    ):
        assert words in page
    assert "could not be drawn" not in page
    table = Table.read(tmp_path / "catalogue.fits")
    right = (table["class"] == table["label"]).mean()
    assert f"{right:.3f} calibrated" in capsys.readouterr().out


def test_parts_fill_a_folder_together(net, data, tmp_path, capsys):
    whole, folder = tmp_path / "whole.parquet", tmp_path / "catalogue"
    assert classify(net, data, whole, "--no-report") == 0
    for number in (2, 1, 3):
        assert classify(net, data, folder, "--part", f"{number}/3") == 0
        assert not (tmp_path / "catalogue.html").exists() or number == 3
    assert "galaxies of other parts are not there yet" in capsys.readouterr().out
    together, at_once = map(pyarrow.parquet.read_table, (folder, whole))
    assert together.column("id").to_pylist() == at_once.column("id").to_pylist()
    np.testing.assert_allclose(together.column("p_square"), at_once.column("p_square"), rtol=1e-5)
    assert (tmp_path / "catalogue.html").is_file()


def test_a_stopped_catalogue_goes_on(net, data, tmp_path, capsys, monkeypatch):
    whole, out = tmp_path / "whole.csv", tmp_path / "catalogue.csv"
    assert classify(net, data, whole, "--no-report") == 0

    class Stopping(verb._Progress):
        def advance(self, done, measured):
            super().advance(done, measured)
            if done == 16:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(verb, "_Progress", Stopping)
    assert classify(net, data, out, "--no-report") == 130
    assert "Run the same command again" in capsys.readouterr().err
    assert [part.name for part in (tmp_path / "catalogue.csv.parts").glob("*.parquet")] == [
        "rows-000000000000-000000000016.parquet"
    ]
    monkeypatch.undo()
    monkeypatch.setattr(stream, "batch_of", lambda job: 16)
    assert classify(net, data, out, "--no-report", "--uncalibrated") == 2
    assert "holds a part of another catalogue (options" in capsys.readouterr().err
    out.write_text("cut off where the program was killed before it had removed the parts")
    assert classify(net, data, out, "--no-report") == 0
    assert out.read_text() == whole.read_text()
    assert classify(net, data, out) == 2
    assert "is there already. Give another --out, or --overwrite" in capsys.readouterr().err


def test_another_catalogue_is_replaced_where_that_is_asked_for(net, data, tmp_path, capsys):
    out, folder = tmp_path / "catalogue.csv", tmp_path / "catalogue"
    out.write_text("of before")
    assert classify(net, data, out, "--no-report", "--overwrite") == 0
    assert len(Table.read(out)) == 50
    assert classify(net, data, folder, "--no-report") == 0
    (folder / "notes.txt").write_text("mine")
    written = {part.name: part.stat().st_mtime_ns for part in folder.glob("*.parquet")}
    assert classify(net, data, folder, "--no-report", "--overwrite") == 0
    assert {part.name: part.stat().st_mtime_ns for part in folder.glob("*.parquet")} == written
    assert classify(net, data, folder, "--no-report", "--uncalibrated") == 2
    assert "another catalogue (options" in capsys.readouterr().err
    assert classify(net, data, folder, "--no-report", "--uncalibrated", "--overwrite") == 2
    assert "holds no catalogue of this program" in capsys.readouterr().err  # but somebody's notes, which stay
    (folder / "notes.txt").unlink()
    assert classify(net, data, folder, "--no-report", "--uncalibrated", "--overwrite") == 0
    assert "uncalibrated_square" not in pyarrow.parquet.read_table(folder).column_names


def test_other_galaxies_with_the_same_ids_are_not_mixed_in(net, data, tmp_path, capsys):
    folder = tmp_path / "catalogue"
    assert classify(net, data, folder, "--part", "1/2") == 0
    images, _ = arrays(count=50, seed=6)
    with np.load(data) as stored:
        np.savez(tmp_path / "other.npz", **{**stored, "images": images})
    assert classify(net, tmp_path / "other.npz", folder, "--part", "2/2") == 2
    assert "holds a part of another catalogue (galaxies" in capsys.readouterr().err
    more = ("--training-pixel-scale", "0.5", "--pixel-scale", "0.5")
    assert classify(net, data, folder, "--part", "2/2", *more) == 2
    assert "another catalogue (options" in capsys.readouterr().err


def test_rows_that_two_runs_have_written_are_there_once(tmp_path):
    parts = Parts(tmp_path)
    for start, stop in ((0, 6), (4, 8), (5, 7), (8, 10)):
        parts.write(Stretch(start, stop), Table({"id": np.arange(start, stop)}))
    assert parts.column("id").tolist() == list(range(10))


def test_a_saved_sample_of_several_bands_is_classified_with_all_of_them(tmp_path, capsys):
    images, labels = arrays()
    bands = np.repeat(images[..., None], 2, axis=3)
    sample = galjax.GalaxySample.from_arrays(
        bands, labels, class_names=["empty", "square"], bands=["g", "r"], pixel_scale=0.4
    )
    trained = galjax.train(
        sample, augment="none", repeats=1, epochs=1, network=test_train.SMALL, conditions=[(2, "nearest")]
    )
    trained.save(tmp_path / "net")
    sample.save(tmp_path / "sample.fits")
    assert classify(tmp_path / "net", tmp_path / "sample.fits", tmp_path / "a.csv", "--no-report") == 0
    assert "Warning" not in capsys.readouterr().out
    expected = trained.classify(sample, method="nearest")["p_square"]
    np.testing.assert_allclose(Table.read(tmp_path / "a.csv")["p_square"], expected, atol=1e-4)


def test_images_that_cannot_be_used_keep_their_rows(net, tmp_path, capsys):
    images, _ = arrays(count=6, seed=5)
    folder = tmp_path / "survey" / "images"
    folder.mkdir(parents=True)
    images[1, 2, 2] = np.nan
    for number, image in enumerate(images):
        np.save(folder / f"{number}.npy", image[:5] if number == 2 else image)
    (folder / "3.npy").write_bytes(b"no array")
    (tmp_path / "survey" / "catalogue.csv").write_text(
        "id,SPIRAL,ELLIPTICAL\n0,1,0\n1,0,1\n2,,\n3,1,1\n4,0,0\n5,1,0\n9,1,0\n"
    )
    out = tmp_path / "catalogue.ecsv"
    assert classify(net, tmp_path / "survey", out, "--pixel-scale", "0.4") == 0
    table = Table.read(out)
    assert table["id"].tolist() == [0, 1, 2, 3, 4, 5]
    assert (table["flags"] & (NOT_FINITE | UNUSABLE)).tolist() == [0, NOT_FINITE, UNUSABLE, UNUSABLE, 0, 0]
    assert [str(name) != "" for name in table["class"].filled("")] == [True, False, False, False, True, True]
    assert "16x16" in table["reason"][2]
    excluded = Table.read(tmp_path / "catalogue.excluded.ecsv")
    assert sorted(map(int, excluded["id"])) == [1, 2, 3, 9]
    assert "4 could not be used" in capsys.readouterr().out


def test_every_galaxy_has_the_factor_of_its_own_pixels(net, tmp_path):
    images, _ = arrays(count=4, seed=5)
    folder = tmp_path / "survey" / "images"
    folder.mkdir(parents=True)
    scales = [0.4, 0.8, 1.6, 0.2]
    for number, (image, scale) in enumerate(zip(images, scales, strict=True)):
        size = round(16 * 0.4 / scale)
        own = np.asarray(
            galjax.resize(image[None].astype(np.float32), (size, size), "area" if size < 16 else "nearest")
        )[0]
        np.save(folder / f"{number}.npy", np.pad(own, 2, mode="edge"))
    rows = [f"{number},{scale}" for number, scale in enumerate(scales)]
    (tmp_path / "survey" / "catalogue.csv").write_text("\n".join(["id,pixel_scale", *rows]))
    out = tmp_path / "catalogue.csv"
    assert classify(net, tmp_path / "survey", out, "--no-report") == 0
    table = Table.read(out)
    assert table["factor"].tolist() == [1.0, 2.0, 4.0, 0.5]
    by_call = galjax.load(net).classify(images[:1], method="nearest")
    assert table["p_square"][0] == pytest.approx(by_call["p_square"][0], abs=1e-4)
    out = tmp_path / "blurred.csv"
    seeing = ("--seeing", "2.0", "--training-seeing", "1.0")
    assert classify(net, tmp_path / "survey", out, "--no-report", *seeing) == 0
    assert (Table.read(out)["factor"] >= [4, 4, 5, 4]).all()


def test_shares_of_the_classes_move_the_probabilities(net, data, tmp_path, capsys):
    for given, ending in ((["empty=0.9", "square=0.1"], "given"), (["estimate"], "estimated")):
        out = tmp_path / f"{ending}.csv"
        assert classify(net, data, out, "--no-report", "--shares", *given) == 0
        table = Table.read(out)
        p = np.asarray(table["p_square"])
        share = 0.1 if ending == "given" else table["shares_p_square"].mean()
        odds = p / (1 - p + 1e-12) * share / (1 - share)
        np.testing.assert_allclose(table["shares_p_square"], odds / (1 + odds), atol=2e-3)


def test_a_run_folder_is_a_model_and_its_seeing_is_known(net, data, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "ensemble").symlink_to(net)
    assert classify(run, data, tmp_path / "catalogue.csv", "--no-report", "--all-orientations") == 0
    description = json.loads((net / "ensemble.json").read_text())
    assert description["usual"].keys() == {"frame", "noise", "middle"}


def test_what_cannot_be_understood_gets_a_sentence(net, data, tmp_path, capsys):
    (tmp_path / "there.csv").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("")
    np.savez(tmp_path / "colour.npz", images=np.random.default_rng(0).normal(size=(3, 16, 16, 3)))
    fine = tmp_path / "new.csv"
    for arguments, sentence in (
        ((), "needs --model"),
        (("--model", net), "needs --data"),
        (("--model", net, "--data", data), "needs --out"),
        (("--model", tmp_path / "none", "--data", data, "--out", fine), "is no folder"),
        (("--model", tmp_path, "--data", data, "--out", fine), "holds no ensemble"),
        (("--model", net, "--data", tmp_path / "none", "--out", fine), "neither 'simulated' nor an existing"),
        (("--model", net, "--data", "simulated", "--out", fine), "are galaxies to train on"),
        (("--model", net, "--data", data, "--out", tmp_path / "a.docx"), "an ending that is not written"),
        (("--model", net, "--data", data, "--out", tmp_path / "a.csv.gz"), "read, but not written"),
        (("--model", net, "--data", data, "--out", tmp_path / "there.csv"), "is there already"),
        (("--model", net, "--data", data, "--out", tmp_path / "full"), "holds no catalogue of this program"),
        (("--model", net, "--data", data, "--out", fine, "--part", "1/2"), "give --out a folder"),
        (("--model", net, "--data", data, "--out", tmp_path / "new", "--part", "3/2"), "like 3/20, not '3/2'"),
        (("--model", net, "--data", data, "--out", tmp_path / "new", "--shares", "estimate"), "give --out a file"),
        (("--model", net, "--data", data, "--out", fine, "--shares", "empty=1"), "lacks square"),
        (
            ("--model", net, "--data", data, "--out", fine, "--shares", "empty=0.9", "square=0.9"),
            "sum to 1.8, not to 1",
        ),
        (("--model", net, "--data", data, "--out", fine, "--shares", "empty=1", "spiral=1"), "no class 'spiral'"),
        (("--model", net, "--data", data, "--out", fine, "--factor", "-1"), "--factor must be above 0"),
        (("--model", net, "--data", data, "--out", fine, "--seeing", "-1"), "--seeing must be above 0"),
        (
            ("--model", net, "--data", data, "--out", fine, "--factor", "2", "--enlarge", "bilinear"),
            "not tested on images",
        ),
        (
            ("--model", net, "--data", data, "--out", fine, "--image-size", "32"),
            "has no effect: these networks take 16",
        ),
        (("--model", net, "--data", data, "--out", fine, "--seeing", "2"), "--training-seeing"),
        (("--model", net, "--data", data, "--out", fine, "--sky", "own"), "has no effect on these networks"),
        (
            ("--model", net, "--data", tmp_path / "colour.npz", "--out", fine, "--channel", "all"),
            "No galaxy could be classified",
        ),
    ):
        code = main(["classify", *map(str, arguments)])
        said = capsys.readouterr()
        assert code == 2, (arguments, said)
        assert sentence in said.err, said
    assert "None of 3 galaxies could be classified" in said.out
    assert (Table.read(fine)["flags"] == UNUSABLE).all()


def test_the_verb_has_a_help(capsys):
    with pytest.raises(SystemExit) as end:
        main(["classify", "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "--model TEXT" in said
    assert "--labels-needed" not in said


def test_memory_does_not_grow_with_the_number_of_galaxies(net, tmp_path, monkeypatch):
    """No more stamps are alive than those of two batches: that which is classified, and that which is being read."""
    images, _ = arrays(count=160, seed=5)
    np.savez(tmp_path / "many.npz", images=images)
    cut, born, gone, most = stream.Stamper.cut, [], [], []

    class Counted(np.ndarray):
        """An array that can be counted while it lives."""

    def counted(stamper, number):
        done = cut(stamper, number)
        stamp = done.stamp.view(Counted)
        weakref.finalize(stamp, gone.append, number)
        born.append(number)
        most.append(len(born) - len(gone))
        return done._replace(stamp=stamp)

    monkeypatch.setattr(stream.Stamper, "cut", counted)
    assert classify(net, tmp_path / "many.npz", tmp_path / "catalogue.csv", "--no-report") == 0
    assert max(most) <= 3 * 16


def test_what_speaks_against_the_comparison_is_said(net, tmp_path, capsys):
    images, _ = arrays(count=20, seed=5)
    stretched = np.clip(20 * images + 40, 0, 255).astype(np.uint8)
    np.savez(tmp_path / "stretched.npz", images=stretched)
    assert classify(net, tmp_path / "stretched.npz", tmp_path / "a.csv", "--no-report") == 0
    said = capsys.readouterr().out
    assert "trained on counts or fluxes, and these are 8-bit images" in said
    assert "taken to be that of the training images, as no pixel scale is known" in said
    np.savez(tmp_path / "small.npz", images=np.asarray(galjax.resize(images.astype(np.float32), (8, 8), "area")))
    assert classify(net, tmp_path / "small.npz", tmp_path / "b.csv", "--no-report", "--pixel-scale", "0.8") == 0
    said = capsys.readouterr().out
    assert "Warning: the networks were trained on counts" not in said
    assert "Their resolution is 1/2 of the training's" in said


def test_a_pixel_scale_is_compared_or_asked_for(net, data, tmp_path, capsys):
    other = tmp_path / "net"
    shutil.copytree(net, other)
    described = other / "ensemble.json"
    described.write_text(described.read_text().replace('"pixel_scale": 0.4', '"pixel_scale": "NaN"'))
    assert classify(other, data, tmp_path / "a.csv", "--pixel-scale", "0.8") == 2
    assert "which the networks do not know. Give --training-pixel-scale" in capsys.readouterr().err
    more = ("--pixel-scale", "0.4", "--training-pixel-scale", "0.4", "--no-report")
    assert classify(other, data, tmp_path / "a.csv", *more) == 0
    assert "resolution is that of the training images;" in capsys.readouterr().out


def test_a_method_that_was_tested_is_taken_where_none_is_given(net, data, tmp_path, capsys):
    assert (
        main(
            [
                "classify",
                "--model",
                str(net),
                "--data",
                str(data),
                "--out",
                str(tmp_path / "a.csv"),
                "--factor",
                "2",
                "--no-report",
            ]
        )
        == 0
    )
    assert "enlarged with nearest, as the networks were tested" in capsys.readouterr().out


def test_a_fits_header_says_the_scale_of_its_own_galaxy(net, tmp_path):
    images, _ = arrays(count=2, seed=5)
    folder = tmp_path / "survey"
    folder.mkdir()
    for number, scale in enumerate((0.8, 1.6)):
        header = fits.Header(
            {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -scale / 3600, "CDELT2": scale / 3600}
        )
        header.update(CRVAL1=150.0 + number, CRVAL2=2.0, CRPIX1=8.5, CRPIX2=8.5)
        fits.writeto(folder / f"{number}.fits", images[number].astype(np.float32), header)
    assert classify(net, folder, tmp_path / "catalogue.csv", "--no-report") == 0
    table = Table.read(tmp_path / "catalogue.csv")
    np.testing.assert_allclose(table["factor"], [2, 4], rtol=1e-5)
    np.testing.assert_allclose(table["ra"], [150, 151], rtol=1e-12)
    np.testing.assert_allclose(table["dec"], 2, rtol=1e-12)


def test_further_columns_of_the_table_are_copied(net, tmp_path, capsys):
    images, _ = arrays(count=20, seed=5)
    data = tmp_path / "stamps.npz"
    further = {
        "mag_r": np.linspace(15, 18, 20) + 1e-9,
        "objid": np.arange(20) + 1237648720693755918,
        "field": np.array(["007", "Straße"] * 10),
    }
    np.savez(data, images=images, id=np.arange(20), **further)
    for ending in ("ecsv", "csv", "parquet", "fits"):
        out = tmp_path / f"c.{ending}"
        assert classify(net, data, out, "--no-report", "--keep-columns", *further) == 0
        if ending == "parquet":
            table = from_arrow(pyarrow.parquet.read_table(out))
        else:
            table = Table.read(out, **({"converters": {"field": str}} if ending == "csv" else {}))
        for name, values in further.items():
            expected = (
                [text.replace("ß", r"\xdf") for text in values]
                if (ending, name) == ("fits", "field")
                else values.tolist()
            )
            assert table[name].tolist() == expected, (ending, name)
    capsys.readouterr()
    for names, sentence in (
        (["nothing"], "has no table column 'nothing'"),
        (["flags"], "--keep-columns flags: the catalogue has, or copies by itself, a column of that name"),
        (["flags", "flags"], "--keep-columns takes each column once"),
    ):
        np.savez(data, images=images, id=np.arange(20), flags=np.zeros(20))
        assert classify(net, data, tmp_path / "d.ecsv", "--no-report", "--keep-columns", *names) == 2
        assert sentence in capsys.readouterr().err
    images_alone = tmp_path / "alone.npy"
    np.save(images_alone, images)
    assert classify(net, images_alone, tmp_path / "e.ecsv", "--no-report", "--keep-columns", "mag_r") == 2
    assert "has no table column 'mag_r'" in capsys.readouterr().err
