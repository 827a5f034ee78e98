"""Every usual form of labelled galaxies is read as it is, and says what it is."""

import json

import cv2
import h5py
import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table
from pyarrow import parquet

import galjax
from galjax import GalaxySample, InputError, read
from galjax.cli.check import describe
from galjax.sources.files.votes import RECIPES
from galjax.sources.options import FolderOptions

STAMP = {"image_size": 8}


def image(path, seed=0, size=8):
    """An image file, of the kind that its ending says; its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
    if path.suffix == ".npy":
        pixels = rng.random((size, size))
        np.save(path, pixels)
    elif path.suffix in (".fits", ".fit"):
        pixels = rng.random((size, size))
        fits.PrimaryHDU(pixels).writeto(path)
    else:
        cv2.imwrite(str(path), pixels)
    return pixels


def images(folder, *names):
    return [image(folder / name, number) for number, name in enumerate(names)]


def said(path, **options):
    return "\n".join(describe(path, FolderOptions(image_size=8, **options)))


def labelled(sample):
    return {str(i): sample.class_names[n] for i, n in zip(sample.ids.tolist(), sample.labels.tolist(), strict=True)}


def test_a_folder_for_each_class(tmp_path):
    images(tmp_path, "Spiral/1.png", "Spiral/2.png", "elliptical/3.png")
    (tmp_path / "README.md").write_text("mine")
    sample = read(tmp_path, **STAMP)
    assert labelled(sample) == {"1": "spiral", "2": "spiral", "3": "elliptical"}
    assert (sample.excluded, sample.ids.dtype) == ((), np.int64)
    text = said(tmp_path)
    assert "label: elliptical 1, spiral 2" in text
    assert f"python -m experiments.resolution_sweep --data {tmp_path}" in text


def test_folders_of_classes_below_train_and_test_whose_split_is_kept(tmp_path):
    images(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png", "valid/b/3.png", "train/lost.png")
    sample = read(tmp_path, split="given", **STAMP)
    assert labelled(sample) == {"train/a/1": "a", "train/b/1": "b", "test/a/2": "a", "valid/b/3": "b"}
    kept = dict(zip(sample.ids.tolist(), sample.columns["split"].tolist(), strict=True))
    assert kept == {"train/a/1": "train", "train/b/1": "train", "test/a/2": "test", "valid/b/3": "val"}
    assert [(row.id, row.reason) for row in sample.excluded] == [("train/lost", "is in no folder of a class")]
    assert "split" not in read(tmp_path, **STAMP).columns
    assert "--classes a b" in said(tmp_path)


ROWS = {"id": ["7", "8", "9"], "label": ["spiral", "elliptical", ""], "ra": [1.5, 2.5, 3.5], "dec": [0.0, -1.0, 2.0]}


def write_table(path, rows):
    table = Table(rows)
    if path.suffix == ".parquet":
        parquet.write_table(pa.table({name: pa.array(column) for name, column in rows.items()}), path)
    elif path.suffix == ".jsonl":
        lines = [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]
        path.write_text("\n".join(map(json.dumps, lines)))
    else:
        endings = {"csv": "ascii.csv", "ecsv": "ascii.ecsv", "fits": "fits", "vot": "votable", "tsv": "ascii.tab"}
        table.write(path, format=endings[path.suffix[1:]])


@pytest.mark.parametrize("ending", ["csv", "tsv", "ecsv", "fits", "vot", "parquet", "jsonl"])
def test_a_table_with_labels_and_images_anywhere(tmp_path, ending):
    images(tmp_path, "b_pics/7.png", "b_pics/8.png", "b_pics/9.png")
    write_table(tmp_path / f"labels.{ending}", ROWS)
    for path in (tmp_path / f"labels.{ending}", tmp_path):
        sample = read(path, **STAMP)
        assert labelled(sample) == {"7": "spiral", "8": "elliptical"}
        assert sample.ids.dtype == np.int64
        np.testing.assert_array_equal(sample.columns["ra"], [1.5, 2.5])
        assert [row.reason for row in sample.excluded] == [f"has no label (row 3 of labels.{ending})"]
    first, *rest = said(tmp_path).splitlines()
    assert first == (
        f"labels.{ending}: 3 rows; label: elliptical 1, spiral 1; images in b_pics/: 2 of 3, 8x8 px, RGB; no redshift"
    )
    assert f"  1: has no label (row 3 of labels.{ending}); the first is 9" in rest


def test_the_metadata_of_hugging_face(tmp_path):
    images(tmp_path, "a.png", "more/b.png")
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "a.png", "label": 0}\n{"file_name": "more/b.png", "label": 1}\n'
    )
    sample = read(tmp_path, **STAMP)
    assert labelled(sample) == {"a": "class 0", "more/b": "class 1"}
    (tmp_path / "metadata.jsonl").unlink()
    (tmp_path / "metadata.csv").write_text("file_name,label\na.png,x\nmore/b.png,y\n")
    assert labelled(read(tmp_path / "metadata.csv", **STAMP)) == {"a": "x", "more/b": "y"}


def test_columns_and_folders_that_are_named(tmp_path):
    pixels = images(tmp_path, "there/cutout_1.npy", "there/cutout_2.npy")
    (tmp_path / "t.csv").write_text("NUMBER,kind,where\n1,A,x/cutout_1.npy\n2,B,cutout_2.npy\n")
    named = {"label_column": "kind", "id_column": "NUMBER", "images": tmp_path / "there", **STAMP}
    for how in ({"file_pattern": "cutout_{NUMBER}.fits"}, {"file_column": "where"}):
        sample = read(tmp_path / "t.csv", **named, **how)
        assert labelled(sample) == {"1": "a", "2": "b"}
        np.testing.assert_array_equal(sample.images, np.stack(pixels).astype(np.float32))
    with pytest.raises(
        InputError,
        match=r"ids are like 1, and files like cutout_1\.npy\. They fit with --file-pattern 'cutout_{NUMBER}\.npy'",
    ):
        read(tmp_path / "t.csv", **named)
    assert "They fit with --file-pattern 'cutout_{NUMBER}.npy'" in said(
        tmp_path / "t.csv", label_column="kind", id_column="NUMBER", images="there"
    )


def test_files_are_looked_up_by_the_ends_of_their_paths_where_that_is_one_file(tmp_path):
    images(tmp_path, "im/dr5/J1+2.png", "im/dr6/J1+2.png", "im/dr6/J3.png", "im/dr6/J3.npy")
    (tmp_path / "t.csv").write_text(
        "id,label,png_loc\n1,a,/home/me/data/dr5/J1+2.png\n2,b,dr6/J1+2.png\n3,a,J1+2.png\n4,b,J3.jpg\n5,a,other/J3.png\n6,b,../../etc\n"
        "7,a,dr6/J3.png\n"
    )
    sample = read(tmp_path / "t.csv", **STAMP)
    assert labelled(sample) == {"1": "a", "2": "b", "7": "a"}
    reasons = {row.id: row.reason for row in sample.excluded if row.id in "123456"}
    assert reasons == {
        str(n): f"no image file {name} (row {n} of t.csv)"
        for n, name in ((3, "J1+2.png"), (4, "J3.jpg"), (5, "other/J3.png"), (6, "../../etc"))
    }
    assert "2 image files were found by the end of their paths, such as /home/me" in sample.provenance["note"] or (
        "1 image files were found by the end" in sample.provenance["note"]
    )


VOTES = ("spiral: p_cs > 0.8 and n >= 20", "elliptical: p_el / n > 0.5", "elliptical: sure > 0")


def test_votes_with_thresholds(tmp_path):
    images(tmp_path, *(f"images/{n}.png" for n in range(1, 7)))
    (tmp_path / "t.csv").write_text(
        'id,p_cs,p_el,n,sure\n1,0.9,0,20,0\n2,0.9,0,19,\n3,0.1,11,20,0\n4,"0,95",18,30,0\n5,,,,1\n6,NA,null,x,None\n'
    )
    sample = read(tmp_path / "t.csv", votes=VOTES, **STAMP)
    assert labelled(sample) == {"1": "spiral", "3": "elliptical", "5": "elliptical"}
    assert [(row.id, row.reason) for row in sample.excluded] == [
        ("2", "meets no vote threshold (row 2 of t.csv)"),
        ("4", "meets 2 vote thresholds (spiral, elliptical) (row 4 of t.csv)"),
        ("6", "meets no vote threshold (row 6 of t.csv)"),
    ]


@pytest.mark.parametrize(
    ("votes", "sentence"),
    [
        (("spiral p > 0.8",), "is the name of a recipe|or the name of a recipe"),
        (("spiral: p is large", "b: p > 1"), "cannot be understood. Write 'CLASS: COLUMN > NUMBER'"),
        (("spiral: q > 1", "b: p_el > 1"), "t.csv has no vote column 'q'"),
        (("spiral: label > 1", "b: p_el > 1"), "'label' of t.csv holds no number"),
        (("spiral: p_el > 1",), "gives one class, spiral; give it again"),
        (("../x: p_el > 1", "b: p_el > 1"), "A class cannot be called"),
    ],
)
def test_votes_that_cannot_be_used_get_a_sentence(tmp_path, votes, sentence):
    images(tmp_path, "images/1.png")
    (tmp_path / "t.csv").write_text("id,p_el,label\n1,0.9,x\n")
    with pytest.raises(InputError, match=sentence):
        read(tmp_path / "t.csv", votes=votes)


def catalogue_of(recipe):
    """Columns that a recipe needs, with a sure elliptical, a sure spiral, and a galaxy that is neither."""
    if recipe == "kaggle":
        return {"GalaxyID": [1, 2, 3], "Class1.1": [0.9, 0.1, 0.5], "Class4.1": [0.05, 0.8, 0.3]}
    if recipe == "efigi":
        return {"PGCname": ["PGC1", "PGC2", "PGC3"], "T": [-5, 3, 0]}
    if recipe == "gz2":
        return {
            "dr7objid": [1, 2, 3],
            "t01_smooth_or_features_a01_smooth_debiased": [0.9, 0.1, 0.5],
            "t01_smooth_or_features_a02_features_or_disk_debiased": [0.1, 0.9, 0.5],
            "t02_edgeon_a05_no_debiased": [0.0, 0.9, 0.5],
            "t04_spiral_a08_spiral_debiased": [0.0, 0.9, 0.5],
        }
    if recipe == "gz-decals":
        return {
            "iauname": ["J1", "J2", "J3"],
            "smooth-or-featured_smooth_fraction": [0.9, 0.1, 0.5],
            "smooth-or-featured_featured-or-disk_fraction": [0.1, 0.9, 0.5],
            "disk-edge-on_no_fraction": [0.0, 0.9, 0.5],
            "has-spiral-arms_yes_fraction": [0.0, 0.9, 0.5],
        }
    return {
        "id_str": ["J1", "J2", "J3"],
        "smooth-or-featured-gz2_smooth": [36, 4, 20],
        "smooth-or-featured-gz2_featured-or-disk": [4, 36, 20],
        "smooth-or-featured-gz2_total-votes": [40, 40, 40],
        "disk-edge-on-gz2_no": [0, 36, 10],
        "disk-edge-on-gz2_total-votes": [4, 36, 20],
        "has-spiral-arms-gz2_yes": [0, 36, 5],
        "has-spiral-arms-gz2_total-votes": [4, 36, 10],
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_known_catalogues_of_votes_are_known_by_their_columns(tmp_path, recipe):
    columns = catalogue_of(recipe)
    names = [str(name) for name in next(iter(columns.values()))]
    if recipe == "gz2":  # its images have numbers of their own
        (tmp_path / "gz2_filename_mapping.csv").write_text(
            "objid,sample,asset_id\n2,original,77\n1,original,66\n3,original,5\n"
        )
        names = ["66", "77", "5"]
    pixels = images(tmp_path, *(f"images/{name}.png" for name in names))
    table = Table({name: list(map(str, values)) for name, values in columns.items()})
    table.write(tmp_path / "gz.csv", format="ascii.csv")
    for votes in ((), recipe):
        sample = read(tmp_path, votes=votes, **STAMP)
        assert [sample.class_names[label] for label in sample.labels] == ["elliptical", "spiral"]
        assert [row.reason for row in sample.excluded] == ["meets no vote threshold (row 3 of gz.csv)"]
        np.testing.assert_array_equal(sample.images, np.stack(pixels[:2])[..., 1].astype(np.float32))
    assert f"recipe {recipe}" in said(tmp_path)


def test_kaggle_has_images_to_train_on_beside_images_that_nobody_has_labelled(tmp_path):
    images(tmp_path, *(f"images_training_rev1/{n}.jpg" for n in (1, 2, 3)), "images_test_rev1/9.jpg")
    Table(catalogue_of("kaggle")).write(tmp_path / "training_solutions_rev1.csv", format="ascii.csv")
    assert labelled(read(tmp_path, **STAMP)) == {"1": "elliptical", "2": "spiral"}
    unlabelled = read(tmp_path / "images_test_rev1", **STAMP)
    assert (unlabelled.is_labelled, unlabelled.ids.tolist()) == (False, [9])
    assert "No labels: images_test_rev1/ has images" in unlabelled.provenance["note"]
    assert "galjax classify --model RUN --data" in said(tmp_path / "images_test_rev1")


def test_efigi_as_it_is_distributed(tmp_path):
    lines = ["#   1 PGCname   Name", "#   2 T         Hubble type", "#   3 Arm       Strength", "#", "# of galaxies"]
    rows = ["PGC0000212   5.0  0.75", "PGC0000243  -5.0 -1", "PGC0000250  -2.0  0"]
    (tmp_path / "EFIGI_attributes.txt").write_text("\n".join([*lines, *rows]) + "\n")
    images(tmp_path, *(f"png/{row.split()[0]}.png" for row in rows))
    assert labelled(read(tmp_path, **STAMP)) == {"PGC0000212": "spiral", "PGC0000243": "elliptical"}
    images(tmp_path, *(f"ima_r/{row.split()[0]}_r.fits" for row in rows))
    in_r = read(tmp_path, images=tmp_path / "ima_r", file_pattern="{PGCname}_r.fits", **STAMP)
    assert (len(in_r), in_r.bands) == (2, ("grey",))


def hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


@pytest.mark.parametrize(
    ("size", "name", "label", "expected"),
    [
        (69, "ans", 7, "disk face-on tight spiral"),
        (256, "ans", 2, "round smooth"),
        (64, "labels", 3, "unbarred spiral"),
        (40, "ans", 2, "class 2"),
    ],
)
def test_published_sets_in_hdf5_have_their_class_names(tmp_path, size, name, label, expected):
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    further = {"redshift": [0.1, np.nan, 0.2], "pxscale": [0.262] * 3, "ra": [1.0, 2, 3], "dec": [4.0, 5, 6]}
    labels = np.array([0, label, label], np.uint8)
    path = hdf5(tmp_path / "Galaxy10.h5", images=pixels, **{name: labels}, **further)
    sample = read(path, **STAMP)
    assert sample.class_names[sample.labels[1]] == expected
    assert sample.ids.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(sample.redshift, further["redshift"])
    np.testing.assert_allclose(sample.pixel_scale, 0.262 * 3)
    middle = (size - 24) // 2
    crop = pixels[:, middle : middle + 24, middle : middle + 24, 1].astype(np.float32)
    np.testing.assert_allclose(sample.images, crop.reshape(3, 8, 3, 8, 3).mean(axis=(2, 4)), rtol=1e-6)
    assert labelled(read(tmp_path, **STAMP)) == labelled(sample)
    text = said(path)
    assert "Galaxy10.h5: 3 images; label: " in text
    assert f"3 of 3, {size}x{size} px, RGB; redshift (redshift): 2 of 3" in text


def test_arrays_of_numpy(tmp_path):
    pixels = np.random.default_rng(0).random((4, 8, 8), np.float32)
    np.savez(tmp_path / "a.npz", X=pixels, y=["s", "e", "s", "e"], id=[5, 6, 7, 8], other=np.zeros(9))
    sample = read(tmp_path / "a.npz", **STAMP)
    assert labelled(sample) == {"5": "s", "6": "e", "7": "s", "8": "e"}
    np.testing.assert_array_equal(sample.images, pixels)
    assert sample.provenance["note"] == "Not used, because of other lengths: other."
    np.save(tmp_path / "X_train.npy", pixels[:, None])
    np.save(tmp_path / "y_train.npy", np.eye(3)[[0, 1, 2, 1]])
    found = read(tmp_path / "X_train.npy", **STAMP)
    (tmp_path / "both").mkdir()
    for name in ("X_train.npy", "y_train.npy"):
        (tmp_path / "both" / name).write_bytes((tmp_path / name).read_bytes())
    assert read(tmp_path / "both", **STAMP).digest() == found.digest()
    assert [found.class_names[n] for n in found.labels] == ["class 0", "class 1", "class 2", "class 1"]
    np.testing.assert_array_equal(found.images, pixels)
    (tmp_path / "y_train.npy").unlink()
    assert not read(tmp_path / "X_train.npy", **STAMP).is_labelled


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: np.savez(p / "x.npz", y=[1, 2]), r"x\.npz holds no images: .* and there is y \(2,\)"),
        (lambda p: np.savez(p / "x.npz", X=np.zeros((3, 8, 8)), y=[1, 2]), r"3 images and labels of shape \(2,\)"),
        (lambda p: (p / "x.npz").write_bytes(b"PK\3\4 no"), r"x\.npz cannot be read as \.npz"),
        (lambda p: (p / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n no"), r"x\.h5 cannot be read as HDF5"),
        (lambda p: (p / "x.npy").write_bytes(b"no"), r"x\.npy cannot be read as \.npy"),
        (lambda p: np.save(p / "x.npy", np.zeros((8, 8))), r"x\.npy holds no images"),
        (lambda p: image(p / "x.png"), r"x\.png is one image, not many galaxies\. Give the folder"),
        (lambda p: image(p / "x.fits"), r"x\.fits is FITS, but not a sample or a table"),
        (lambda p: (p / "x.docx").write_bytes(b"PK"), r"x\.docx has an ending that is not read\. Give one of"),
        (lambda p: (p / "x.parquet").write_bytes(b"PAR1 no PAR1"), r"x\.parquet cannot be read as parquet"),
        (lambda p: (p / "x.jsonl").write_text("[1]\n"), r"x\.jsonl cannot be read as jsonl: line 1 is no JSON object"),
        (lambda p: (p / "x.csv").write_text("id,label\n1,a\n"), "has no folder images/"),
    ],
)
def test_what_cannot_be_read_gets_a_sentence(tmp_path, make, sentence):
    make(tmp_path)
    (path,) = tmp_path.iterdir()
    with pytest.raises(InputError, match=sentence):
        read(path)


def test_what_may_be_several_things_is_asked(tmp_path):
    images(tmp_path, "one/1.png", "two/1.png")
    (tmp_path / "a.csv").write_text("id,label\n1,x\n")
    with pytest.raises(
        InputError,
        match=r"folders one, two with images, and several of them hold .* such as 1\. Name one with --images",
    ):
        read(tmp_path)
    (tmp_path / "b.csv").write_text("id,label\n1,x\n")
    with pytest.raises(InputError, match=r"has several tables \(a\.csv, b\.csv\)\. Give one of them"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"--images .*a\.csv is a file, not a folder of images"):
        read(tmp_path / "a.csv", images=tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"read\(\) does not know 'label'; it takes images, votes, bands"):
        read(tmp_path, label="x")
    for both in ({"label_column": "a", "votes": VOTES}, {"file_column": "a", "file_pattern": "{a}"}):
        with pytest.raises(InputError, match="leave one out"):
            read(tmp_path, **both)


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ([0.93, 0.2], r"holds numbers such as 0\.93, which are no classes\. .* --vote 'spiral: label > 0\.8'"),
        (["a/b", "c"], "A class cannot be called 'a/b'"),
    ],
)
def test_labels_that_are_none_get_a_sentence(tmp_path, label, sentence):
    images(tmp_path, "images/1.png", "images/2.png")
    Table({"id": [1, 2], "label": label}).write(tmp_path / "t.csv", format="ascii.csv")
    with pytest.raises(InputError, match=sentence):
        read(tmp_path)


def test_a_saved_sample_and_a_table_without_labels(tmp_path):
    images(tmp_path, "images/1.png", "images/2.png")
    (tmp_path / "t.csv").write_text("id,flux,z\n1,5,0.1\n2,6,0.2\n")
    sample = read(tmp_path, **STAMP)
    assert not sample.is_labelled
    assert "No labels: t.csv has no class flags, known votes, or column label" in sample.provenance["note"]
    sample.save(tmp_path / "sample.fits")
    again = read(tmp_path / "sample.fits")
    assert again.digest() == sample.digest()
    assert said(tmp_path / "sample.fits").startswith(
        "sample.fits: 2 galaxies; label: none; 8x8 px, green; redshift: 2 of 2"
    )
    with pytest.raises(InputError, match="--images x is for a folder of images and has no effect"):
        read(tmp_path / "sample.fits", images="x")
    assert isinstance(galjax.read(tmp_path / "sample.fits"), GalaxySample)


def test_stamps_of_any_size(tmp_path):
    images(tmp_path, "a/1.npy", "b/2.npy")
    image(tmp_path / "b/3.npy", 3, 101)
    sample = read(tmp_path, image_size=16, enlarge="bilinear", pixel_scale=0.4)
    expected = cv2.resize(np.load(tmp_path / "a/1.npy").astype(np.float32), (16, 16), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(sample.images[0], expected)
    assert sample.provenance["stamps"] == "8 px, enlarged by 2 (bilinear) (2); middle 16 of 101 px (1)"
    assert "different factors (below 1: enlarged), 0.5 (2 images), 1 (1 image)" in sample.provenance["note"]
    assert np.isnan(sample.pixel_scale)
    one = read(tmp_path, image_size=16, crop=4, pixel_scale=0.4)
    assert one.pixel_scale == pytest.approx(0.1)
    assert "middle 4 of 8 px, enlarged by 4 (bicubic)" in one.provenance["stamps"]
    assert "middle 16 of 101 px" in said(tmp_path / "b") or "8 px" in said(tmp_path / "b")


def test_several_bands_by_their_numbers(tmp_path):
    pixels = np.random.default_rng(0).random((2, 8, 8, 5)).astype(np.float32)
    np.savez(tmp_path / "x.npz", images=pixels, label=["a", "b"])
    sample = read(tmp_path / "x.npz", bands=[4, 0], **STAMP)
    np.testing.assert_array_equal(sample.images, pixels[..., [4, 0]])
    assert sample.bands == ("band4", "band0")
    with pytest.raises(InputError, match=r"has 5 bands, so no green one; .* several: --bands 0 1"):
        read(tmp_path / "x.npz", **STAMP)
    with pytest.raises(InputError, match="has 5 bands, so no band 5"):
        read(tmp_path / "x.npz", bands=[5], **STAMP)
    with pytest.raises(InputError, match="--bands takes numbers from 0, each once"):
        read(tmp_path / "x.npz", bands=[1, 1])
