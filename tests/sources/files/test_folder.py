import gzip
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import tyro
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from galjax import Exclusion, GalaxySample, InputError
from galjax.sources.files.folder import FolderOptions, read_folder

FIRST = 587727178986356823
HEADER = "OBJID,SPIRAL,ELLIPTICAL,UNCERTAIN,z"
OPTIONS = FolderOptions(image_size=8)
REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "gz1_images"


def picture(path, seed, size=24):
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)
    return pixels


@pytest.fixture
def folder(tmp_path):
    """Four good galaxies, two of each class; redshift of one unknown."""
    (tmp_path / "images").mkdir()
    rows = [HEADER]
    for number in range(4):
        picture(tmp_path / "images" / f"{FIRST + number}.png", number)
        rows.append(f"{FIRST + number},{int(number < 2)},{int(number >= 2)},0,{'' if number == 1 else 0.1 * number}")
    (tmp_path / "catalogue.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def add_row(folder, row):
    with (folder / "catalogue.csv").open("a") as catalogue:
        catalogue.write(row + "\n")


def test_a_good_folder(folder):
    seen = []
    sample = read_folder(folder, OPTIONS, lambda done, total: seen.append((done, total)))
    assert sample.ids.dtype == np.int64
    assert sample.ids.tolist() == [FIRST + n for n in range(4)]
    assert sample.labels.tolist() == [0, 0, 1, 1]
    assert sample.class_names == ("spiral", "elliptical", "uncertain")
    np.testing.assert_allclose(sample.redshift, [0, np.nan, 0.2, 0.3], rtol=1e-15)
    assert sample.bands == ("green",)
    assert sample.excluded == ()
    assert np.isnan(sample.pixel_scale)
    assert seen == [(4, 4)]
    green = cv2.imread(str(folder / "images" / f"{FIRST}.png"))[..., 1].astype(np.float64)
    np.testing.assert_allclose(sample.images[0], green.reshape(8, 3, 8, 3).mean(axis=(1, 3)), rtol=1e-6)
    assert sample.provenance["catalogue rows"] == "4"
    assert str(folder) not in str(dict(sample.provenance))


def as_table(folder):
    rows = [line.split(",") for line in (folder / "catalogue.csv").read_text().split()]
    columns = list(zip(*rows[1:], strict=True))
    table = Table({"OBJID": np.array(columns[0], np.int64)})
    for name, column in zip(rows[0][1:4], columns[1:4], strict=True):
        table[name] = np.array(column, np.int32)
    unknown = [value == "" for value in columns[4]]
    table["z"] = MaskedColumn([float(value or 0) for value in columns[4]], mask=unknown)
    (folder / "catalogue.csv").unlink()
    return table


@pytest.mark.parametrize(("ending", "table_format"), [("ecsv", "ascii.ecsv"), ("fits", "fits"), ("vot", "votable")])
def test_every_table_format_gives_the_same_sample(folder, ending, table_format):
    expected = read_folder(folder, OPTIONS)
    as_table(folder).write(folder / f"catalogue.{ending}", format=table_format)
    found = read_folder(folder, OPTIONS)
    assert found.digest() == expected.digest()


def test_csv_with_byte_order_mark_spaces_and_words(folder):
    text = (
        (folder / "catalogue.csv").read_text().replace(",1,0,0,", ", True,false,0.0,").replace(HEADER, HEADER.lower())
    )
    (folder / "catalogue.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    sample = read_folder(folder, OPTIONS)
    assert sample.ids.tolist() == [FIRST + n for n in range(4)]
    assert sample.labels.tolist() == [0, 0, 1, 1]


def test_text_ids_own_columns_and_other_image_formats(tmp_path):
    (tmp_path / "images").mkdir()
    arrays = [np.random.default_rng(n).random((9, 9)) for n in range(3)]
    np.save(tmp_path / "images" / "007.npy", arrays[0])
    fits.PrimaryHDU(arrays[1].astype(">f4")).writeto(tmp_path / "images" / "J12.fits")
    fits.PrimaryHDU(arrays[2]).writeto(tmp_path / "images" / "J13.fits.gz")
    (tmp_path / "catalogue.csv").write_text("name,smooth,disk,specz\n007,1,0,x\nJ12,0,1,0.5\nJ13,0,1,inf\n")
    options = FolderOptions(
        image_size=8, class_columns=("disk", "smooth"), redshift_column="SPECZ", id_column="NAME", pixel_scale=0.2
    )
    sample = read_folder(tmp_path, options)
    assert sample.ids.tolist() == ["007", "J12", "J13"]
    assert sample.class_names == ("disk", "smooth")
    assert sample.labels.tolist() == [1, 0, 0]
    np.testing.assert_array_equal(sample.redshift, [np.nan, 0.5, np.nan])
    assert sample.provenance["redshifts that are no number, taken as unknown"] == "1"
    assert sample.pixel_scale == 0.2
    np.testing.assert_array_equal(sample.images, np.stack(arrays)[:, :8, :8].astype(np.float32))


def test_pixel_scale_follows_the_shrinking(folder):
    assert read_folder(folder, FolderOptions(image_size=8, pixel_scale=0.1)).pixel_scale == pytest.approx(0.3)
    cropped = FolderOptions(image_size=8, crop=16, pixel_scale=0.1)
    assert read_folder(folder, cropped).pixel_scale == pytest.approx(0.2)


def pictures(folder, **sizes):
    """A folder of pictures of these widths, by id."""
    (folder / "images").mkdir()
    for number, (name, size) in enumerate(sizes.items()):
        picture(folder / "images" / f"{name}.png", number, size)
    rows = [f"{name},{number % 2},{1 - number % 2}" for number, name in enumerate(sizes)]
    (folder / "catalogue.csv").write_text("\n".join(["id,SPIRAL,ELLIPTICAL", *rows]) + "\n")
    return folder


@pytest.mark.parametrize(("size", "factor"), [(8, 1), (15, 1), (16, 2), (23, 2), (24, 3), (80, 3)])
def test_pixel_scale_is_that_of_what_each_picture_was_shrunk_by(tmp_path, size, factor):
    sample = read_folder(pictures(tmp_path, a=size, b=size), FolderOptions(image_size=8, pixel_scale=0.4))
    assert sample.pixel_scale == pytest.approx(0.4 * factor)
    assert sample.provenance["shrunk by"] == f"{factor} (2 images)"
    assert "note" not in sample.provenance


def test_pictures_shrunk_by_different_factors_have_no_pixel_scale_and_a_note(tmp_path):
    folder = pictures(tmp_path, a=9, b=53, c=9)
    sample = read_folder(folder, FolderOptions(image_size=8, pixel_scale=0.4))
    assert np.isnan(sample.pixel_scale)
    assert sample.provenance["shrunk by"] == "1 (2 images), 3 (1 image)"
    assert sample.provenance["note"] == (
        "The images were shrunk by different factors, 1 (2 images), 3 (1 image), so that there is no one pixel scale. "
        "--crop 8 uses the same number of pixels of each."
    )
    advised = read_folder(folder, FolderOptions(image_size=8, pixel_scale=0.4, crop=8))
    assert advised.pixel_scale == pytest.approx(0.4)
    assert "note" not in advised.provenance


def test_pixel_scale_of_crops_that_are_no_multiple_and_of_images_that_are_not_square(tmp_path):
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images" / "a.npy", rng.random((30, 12)))
    fits.PrimaryHDU(rng.random((12, 40))).writeto(tmp_path / "images" / "b.fits")
    cv2.imwrite(str(tmp_path / "images" / "c.png"), rng.integers(0, 255, (40, 17, 3), dtype=np.uint8))
    (tmp_path / "catalogue.csv").write_text("id,SPIRAL,ELLIPTICAL\na,1,0\nb,0,1\nc,1,0\n")
    cropped = read_folder(tmp_path, FolderOptions(image_size=8, crop=12, pixel_scale=0.4))
    assert cropped.pixel_scale == pytest.approx(0.6)
    assert cropped.provenance["shrunk by"] == "1.5 (3 images)"
    automatic = read_folder(tmp_path, FolderOptions(image_size=8, pixel_scale=0.4))
    assert automatic.provenance["shrunk by"] == "1 (2 images), 2 (1 image)"
    assert np.isnan(automatic.pixel_scale)


def arrays(folder, catalogue, *names, shape=(8, 8)):
    """A folder with this catalogue and images of these names; and the pixels."""
    (folder / "images").mkdir()
    pixels = [np.random.default_rng(number).random(shape) for number in range(len(names))]
    for name, array in zip(names, pixels, strict=True):
        np.save(folder / "images" / f"{name}.npy", array)
    (folder / "catalogue.csv").write_text(catalogue)
    return pixels


@pytest.mark.parametrize(
    ("catalogue", "names"),
    [
        ("id,SPIRAL,ELLIPTICAL\n7.0,0,1\n12.0,1,0\n", ("7", "12")),
        ("id,SPIRAL,ELLIPTICAL\n7.jpg,0,1\nimages/12.png,1,0\n", ("7", "12")),
        ("id,SPIRAL,ELLIPTICAL\n7,0,1\n12,1,0\n", ("0007", "0012")),
        ("id,SPIRAL,ELLIPTICAL\n7,0,1\n12,1,0\n", ("07", "12")),
        ("#Table1\nid;SPIRAL;ELLIPTICAL\n7;0,0;1,0\n12;1,0;0,0\n", ("7", "12")),
        ("sep=;\r\nid;SPIRAL;ELLIPTICAL\r\n7;0;1\r\n12;1;0\r\n", ("7", "12")),
        ("# 1 id\n# 2 SPIRAL\n# 3 ELLIPTICAL\n7 0 1\n12 1 0\n", ("7", "12")),
        ("# id SPIRAL ELLIPTICAL\n7 0.000000 1.000000\n12 1e0 0e0\n", ("7", "12")),
        ("id\tSPIRAL\tELLIPTICAL\t\n7\tno\tyes\t\n12\tyes\tno\t\n", ("7", "12")),
    ],
)
def test_catalogues_as_other_programs_write_them(tmp_path, catalogue, names):
    pixels = arrays(tmp_path, catalogue, *names)
    sample = read_folder(tmp_path, OPTIONS)
    assert sample.ids.tolist() == [7, 12]
    assert sample.labels.tolist() == [1, 0]
    assert sample.excluded == ()
    np.testing.assert_array_equal(sample.images, np.stack(pixels).astype(np.float32))
    assert ("note" in sample.provenance) == (names != ("7", "12"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_encodings_of_catalogues(tmp_path, encoding):
    arrays(tmp_path, "", "7", "12")
    text = "id\tSPIRAL\tELLIPTICAL\tné\n7\t0\t1\tà\n12\t1\t0\té\n"
    (tmp_path / "catalogue.csv").write_bytes(text.encode(encoding))
    assert read_folder(tmp_path, OPTIONS).labels.tolist() == [1, 0]


def test_a_zipped_catalogue(tmp_path):
    arrays(tmp_path, "", "7", "12")
    (tmp_path / "catalogue.csv").write_bytes(gzip.compress(b"id,SPIRAL,ELLIPTICAL\n7,0,1\n12,1,0\n"))
    assert read_folder(tmp_path, OPTIONS).labels.tolist() == [1, 0]


def test_ids_that_are_no_names_of_files_get_a_sentence_with_an_example_of_each(tmp_path):
    arrays(tmp_path, "id,SPIRAL,ELLIPTICAL\nNGC1300,0,1\nNGC7,1,0\n", "sdss_NGC1300", "sdss_NGC7")
    with pytest.raises(
        InputError,
        match=r"ids are like NGC1300, and files like sdss_NGC1300\.npy\. They fit with --file-pattern 'sdss_{id}\.npy'",
    ):
        read_folder(tmp_path, OPTIONS)


def test_z_beside_other_magnitudes_is_no_redshift(tmp_path):
    arrays(tmp_path, "id,SPIRAL,ELLIPTICAL,u,g,r,i,z\n7,0,1,19,18,17.5,17.1,16.9\n", "7")
    sample = read_folder(tmp_path, OPTIONS)
    assert np.isnan(sample.redshift).all()
    assert (sample.provenance["redshifts"], "a magnitude" in sample.provenance["note"]) == ("none", True)
    (tmp_path / "catalogue.csv").write_text("id,SPIRAL,ELLIPTICAL,z\n7,0,1,16.9\n")
    alone = read_folder(tmp_path, OPTIONS)
    assert (np.isnan(alone.redshift).all(), "16.9 in the middle: a magnitude" in alone.provenance["note"]) == (
        True,
        True,
    )
    asked = read_folder(tmp_path, FolderOptions(image_size=8, redshift_column="z"))
    assert asked.redshift.tolist() == [16.9]


def test_one_band_is_one_band_however_its_axes_are(tmp_path):
    pixels = arrays(tmp_path, "id,SPIRAL,ELLIPTICAL\n1,0,1\n2,1,0\n3,1,0\n", "1")
    np.save(tmp_path / "images" / "2.npy", pixels[0][..., None])
    fits.PrimaryHDU(pixels[0][None, None]).writeto(tmp_path / "images" / "3.fits")
    for channel in ("all", "green", 0):
        sample = read_folder(tmp_path, FolderOptions(image_size=8, channel=channel))
        assert sample.images.shape == (3, 8, 8)
        np.testing.assert_array_equal(sample.images, np.stack([pixels[0]] * 3).astype(np.float32))
        assert sample.bands == ("grey",)


def test_of_five_bands_one_is_chosen_by_its_number_and_never_by_a_colour(tmp_path):
    (pixels,) = arrays(tmp_path, "id,SPIRAL,ELLIPTICAL\n1,0,1\n", "1", shape=(8, 8, 5))
    with pytest.raises(
        InputError, match=r"has 5 bands, so no green one; use --channel all, or .* --channel 0 \.\.\. 4"
    ):
        read_folder(tmp_path, OPTIONS)
    one = read_folder(tmp_path, FolderOptions(image_size=8, channel=3))
    np.testing.assert_array_equal(one.images[0], pixels[..., 3].astype(np.float32))
    assert (one.bands, one.provenance["channel"]) == (("band3",), "3")
    every = read_folder(tmp_path, FolderOptions(image_size=8, channel="all"))
    np.testing.assert_array_equal(every.images[0], pixels.astype(np.float32))


def test_the_number_of_a_band_on_the_command_line():
    config = tyro.cli(FolderOptions, args=["--channel", "2"])
    assert (config.channel, tyro.cli(FolderOptions, args=["--channel", "all"]).channel) == (2, "all")


NEW = FIRST + 99


def new_image(folder, content=None, name=f"{NEW}.png"):
    path = folder / "images" / name
    if content is None:
        picture(path, 9)
    else:
        path.write_bytes(content)


def half_an_image(folder):
    new_image(folder)
    content = (folder / "images" / f"{NEW}.png").read_bytes()
    new_image(folder, content[: len(content) // 2])


def link_out(folder):
    outside = folder.parent / "outside.png"
    picture(outside, 1)
    (folder / "images" / f"{NEW}.png").symlink_to(outside)


def array_image(shape, value=None):
    def save(folder):
        pixels = np.random.default_rng(0).random(shape)
        if value is not None:
            pixels.flat[3] = value
        np.save(folder / "images" / f"{NEW}.npy", pixels)

    return save


@pytest.mark.parametrize(
    ("prepare", "row", "file", "reason"),
    [
        (lambda f: None, f"{NEW},1,0,0,", "", "no image file (row 5 of catalogue.csv)"),
        (new_image, f"{NEW},0,0,0,", f"images/{NEW}.png", "no class flag is set (row 5 of catalogue.csv)"),
        (new_image, f"{NEW},1,1,0,", f"images/{NEW}.png", "2 class flags are set (row 5 of catalogue.csv)"),
        (new_image, f"{NEW},1,,0,", f"images/{NEW}.png", "a class flag is missing (row 5 of catalogue.csv)"),
        (new_image, f"{NEW},1,2,0,", f"images/{NEW}.png", "a class flag is neither 0 nor 1 (row 5 of catalogue.csv)"),
        (half_an_image, f"{NEW},1,0,0,", f"images/{NEW}.png", "is cut off (a PNG without its end)"),
        (array_image((8, 8), np.nan), f"{NEW},1,0,0,", f"images/{NEW}.npy", "has 1 NaN, infinite or too large pixels"),
        (array_image((5,)), f"{NEW},1,0,0,", f"images/{NEW}.npy", "has shape (5,), not (height, width)"),
    ],
)
def test_a_row_that_cannot_be_used_is_listed_with_its_reason(folder, prepare, row, file, reason):
    prepare(folder)
    add_row(folder, row)
    sample = read_folder(folder, OPTIONS)
    assert len(sample) == 4
    (excluded,) = sample.excluded
    assert (excluded.id, excluded.file) == (str(NEW), file)
    assert excluded.reason.startswith(reason)


def test_links_that_lead_out_of_the_folder_are_read_and_told(folder):
    link_out(folder)
    add_row(folder, f"{NEW},1,0,0,")
    sample = read_folder(folder, OPTIONS)
    assert (len(sample), sample.excluded) == (5, ())
    assert sample.provenance["note"] == (
        f"1 image files are links that lead out of the folder, such as images/{NEW}.png; the files there are read."
    )


def test_several_files_of_one_galaxy_and_files_without_a_row_are_listed(folder):
    new_image(folder)
    new_image(folder, name=f"{FIRST}.jpg")
    new_image(folder, name="notes.png")
    sample = read_folder(folder, OPTIONS)
    assert sample.ids.tolist() == [FIRST + n for n in (1, 2, 3)]
    assert set(sample.excluded) == {
        Exclusion(str(FIRST), f"images/{FIRST}.jpg, images/{FIRST}.png", "2 image files (row 1 of catalogue.csv)"),
        Exclusion(str(NEW), f"images/{NEW}.png", "no catalogue row"),
        Exclusion("notes", "images/notes.png", "no catalogue row"),
    }


def test_repeated_ids_are_kept_once_where_they_agree_and_not_at_all_otherwise(folder):
    add_row(folder, f"{FIRST},1,0,0,0.0")
    add_row(folder, f"{FIRST + 3},1,0,0,0.3")
    sample = read_folder(folder, OPTIONS)
    assert sample.ids.tolist() == [FIRST, FIRST + 1, FIRST + 2]
    reasons = [(row.id, row.reason) for row in sample.excluded]
    assert reasons == [
        (str(FIRST + 3), "id is given several times, with different classes or redshifts (row 4 of catalogue.csv)"),
        (str(FIRST), "id is given before (row 5 of catalogue.csv)"),
        (str(FIRST + 3), "id is given several times, with different classes or redshifts (row 6 of catalogue.csv)"),
    ]


@pytest.mark.parametrize("evil", ["../secret", "/etc/passwd", "..", "a\x00b", "~", "images/x", "ünïcode"])
def test_ids_never_lead_out_of_the_folder(folder, evil):
    picture(folder / "secret.png", 5)
    lines = (folder / "catalogue.csv").read_text() + f'"{evil}",1,0,0,\n'
    (folder / "catalogue.csv").write_text(lines, encoding="utf-8")
    try:
        sample = read_folder(folder, OPTIONS)
    except InputError:
        return
    assert sample.ids.tolist() == [str(FIRST + n) for n in range(4)]
    assert len(sample.excluded) == 1


def replace(text, new, name="catalogue.csv"):
    return lambda folder: (folder / name).write_text((folder / name).read_text().replace(text, new))


def remove(name):
    return lambda f: shutil.rmtree(f / name) if (f / name).is_dir() else (f / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda f: (remove("catalogue.csv")(f), remove("images")(f)),
            "has no catalogue; one of catalogue.csv, catalogue.ecsv",
        ),
        (remove("images"), "has no folder images/"),
        (lambda f: shutil.rmtree(f), "There is no folder"),
        (lambda f: (f / "catalogue.vot").touch(), "has catalogue.csv and catalogue.vot; keep one"),
        (replace("OBJID", "number"), "none of the id columns objid, .* its columns are number, SPIRAL.*--id-column"),
        (replace("ELLIPTICAL", "ROUND"), "has no class column 'ELLIPTICAL'; its columns are OBJID.*--class-columns"),
        (replace("UNCERTAIN", "spiral"), r"several columns called 'SPIRAL' \(case aside\)"),
        (lambda f: (f / "catalogue.csv").write_text(HEADER + "\n"), "has no rows"),
        (lambda f: (f / "catalogue.csv").write_text(""), r"catalogue\.csv cannot be read as csv|has no rows"),
        (
            lambda f: (f / "catalogue.csv").write_bytes(b"\xff\xfe\x00\x01" * 50),
            "cannot be read as csv|id columns|has no rows",
        ),
        (lambda f: add_row(f, "1,2,3,4,5,6,7,8"), "cannot be read as csv"),
        (replace(str(FIRST), "5.87727E+17"), r"holds rounded numbers such as 5\.87727E\+17.*as integers or text"),
        (
            lambda f: [p.write_bytes(b"") for p in (f / "images").iterdir()],
            "No galaxy of .* can be used: 4 left out.*empty",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_gets_a_sentence(folder, spoil, sentence):
    spoil(folder)
    with pytest.raises(InputError, match=sentence):
        read_folder(folder, OPTIONS)


@pytest.mark.parametrize(("ending", "table_format"), [("ecsv", "ascii.ecsv"), ("fits", "fits"), ("vot", "votable")])
def test_damaged_tables_and_ids_stored_as_floats_get_a_sentence(folder, ending, table_format):
    table = as_table(folder)
    path = folder / f"catalogue.{ending}"
    table["OBJID"] = table["OBJID"].astype(float)
    table.write(path, format=table_format)
    with pytest.raises(InputError, match="holds floating-point numbers, which lose digits"):
        read_folder(folder, OPTIONS)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 3], b"", b"<html>503</html>"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=f"catalogue.{ending}"):
            read_folder(folder, OPTIONS)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"image_size": 0}, r"--image-size must lie in 1\.\.4096 px, not 0"),
        ({"crop": 0}, "--crop must be at least 1 px, not 0"),
        ({"channel": -1}, "--channel counts bands from 0, not -1"),
        ({"class_columns": ("SPIRAL",)}, "--class-columns takes two or more different columns"),
        ({"class_columns": ("A", "a")}, "--class-columns takes two or more different columns"),
    ],
)
def test_bad_options_get_a_sentence(options, sentence):
    with pytest.raises(InputError, match=sentence):
        FolderOptions(**options)


def test_a_large_catalogue(folder):
    """How long it takes is measured by benchmarks.catalogue, and that no work grows with the rows in test_folder_rows."""
    rows = "".join(f"{FIRST + n},1,0,0,0.1\n" for n in range(10, 60_010))
    with (folder / "catalogue.csv").open("a") as catalogue:
        catalogue.write(rows)
    sample = read_folder(folder, OPTIONS)
    assert len(sample) == 4
    assert [row.id for row in sample.excluded] == [str(FIRST + n) for n in range(10, 60_010)]
    assert sample.excluded[-1].reason == "no image file (row 60004 of catalogue.csv)"


@pytest.mark.skipif(not REAL.is_dir(), reason="the folder of real galaxies is not on this machine")
def test_real_galaxies():
    sample = read_folder(REAL)
    assert sample.class_counts() == {"spiral": 1300, "elliptical": 1300, "uncertain": 120}
    assert sample.images.shape == (2720, 64, 64)
    assert sample.excluded == ()
    assert isinstance(sample, GalaxySample)
    centre, corner = sample.images[:, 24:40, 24:40].mean(), sample.images[:, :8, :8].mean()
    assert centre > 5 * corner
