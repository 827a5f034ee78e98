"""Everything that a user may get wrong, given to the commands: a sentence that names it, exit code 2, and nothing touched.

Where an input is unusual but right, it works. A bad galaxy among good ones is left out, and listed. What is given, and what is
said of it, stands in the tables of `tests.bad_input`.
"""

import contextlib
import hashlib
import os
import re
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from experiments import EXPERIMENTS
from galjax.report import html as report
from galjax.sources import FolderOptions, SourceConfig, load
from galjax.sources.files import image_files
from tests.bad_input.catalogues import CATALOGUES, catalogue, table_with
from tests.bad_input.flags import FLAGS, IN_TURN, SWEEP, TINY, TO_ALL, TOO_MUCH
from tests.bad_input.images import IMAGES, LEGITIMATE
from tests.bad_input.making import GOOD, HEADER, STAMP, make_folder, put, save_array
from tests.bad_input.run_folders import RUN_FOLDERS
from tests.bad_input.samples import SAMPLES

COMMANDS = {name: import_module(f"experiments.{name}") for name in (*EXPERIMENTS, "thesis", "interpolation_cost")}
EVIL = ("../../etc/passwd", "/etc/passwd", "..", "$(touch evil)", "[/b]")


def run(name, *flags):
    """The command's exit code, as the shell would see it."""
    try:
        return COMMANDS[name].main([str(flag) for flag in flags])
    except SystemExit as ended:
        return ended.code


def contents(place):
    """Every file and folder below a place, with what is in it."""
    below = {}
    for path in place.rglob("*"):
        kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file" if path.is_file() else "other"
        below[path] = (kind, hashlib.sha256(path.read_bytes()).hexdigest() if kind == "file" else "")
    return below


@contextlib.contextmanager
def refused(place, capsys, sentence):
    """What runs inside gives exit code 2 and this sentence, no more, and leaves the place as it was."""
    before, codes = contents(place), []
    yield codes.append
    err = " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().err).split())
    assert codes == [2], err
    assert re.search(sentence, err), err
    assert "Traceback" not in err
    assert contents(place) == before


@pytest.mark.parametrize(
    ("names", "flags", "sentence"),
    IN_TURN + TO_ALL,
    ids=lambda value: None if isinstance(value, str) else " ".join(value)[:40],
)
def test_bad_flags(names, flags, sentence, tmp_path, capsys):
    for name in names:
        out = [] if name == "interpolation_cost" else ["--out", tmp_path / "run"]
        with refused(tmp_path, capsys, sentence) as ended:
            ended(run(name, *out, *flags))


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "galaxies")


@pytest.fixture(autouse=True, scope="module")
def small_limits():
    """Figures in low resolution, and a bomb that takes no second to unpack."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "PRINT_DPI", 30)
        patch.setattr(image_files, "MAX_BYTES", 2_000_000)
        yield


@pytest.mark.parametrize("kind", IMAGES)
def test_bad_images(kind, tmp_path, capsys, monkeypatch):
    """None of the images can be used: the command ends, and says why for the first."""
    monkeypatch.chdir(tmp_path)
    folder = make_folder(tmp_path / "galaxies", 0)
    ending, content, reason = IMAGES[kind]
    put(folder, "one", ending, content)
    (folder / "catalogue.csv").write_text(f"{HEADER}\none,1,0,0\n")
    sentence = f"No galaxy of .*galaxies can be used: 1 left out, the first are one: .*{reason}"
    with refused(tmp_path, capsys, sentence) as ended:
        ended(run("resolution_sweep", "--data", folder, "--out", tmp_path / "run", *SWEEP))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A run on good galaxies and one of every bad kind, with names as people give them."""
    place = tmp_path_factory.mktemp("place")
    galaxies = make_folder(place / "my [/b] $galaxies^$\n<b>ünïcode</b>", 16)
    rows = []
    for kind, (ending, content, _) in IMAGES.items():
        put(galaxies, kind, ending, content)
        rows.append(f"{kind},1,0,0")
    rows += [f'"{evil}",0,1,0' for evil in (*EVIL, "ünïcode", "")]
    put(galaxies, "a b", ".npy", save_array(STAMP))
    rows += ["a b,1,0,0", "twice,1,0,0", "twice,0,1,0", "both,1,1,0", "none,0,0,0", "half,0.5,0,0", "unflagged,,1,0"]
    put(galaxies, "no\nrow", ".npy", save_array(STAMP))
    with contextlib.suppress(OSError):  # where the file system wants UTF-8
        Path(os.fsdecode(bytes(galaxies / "images") + b"/\xff.npy")).write_bytes(save_array(STAMP))
    with (galaxies / "catalogue.csv").open("a", encoding="utf-8") as catalogue:
        catalogue.write("\n".join(rows) + "\n")
    (place / "out").mkdir()
    before = contents(place)
    out = place / "out" / "[i]\n ü"
    flags = ["--data", galaxies / ".." / galaxies.name, *TINY, "--per-class", "4", "--factors", "2"]
    assert run("same_resolution", "--out", out, *flags) == 0
    assert {path: what for path, what in contents(place).items() if not path.is_relative_to(out)} == before
    return out, flags


def test_bad_galaxies_among_good_ones_are_left_out_and_listed(mixed):
    out, _ = mixed
    excluded = Table.read((out / "excluded.ecsv").read_text(encoding="utf-8"), format="ascii.ecsv")
    reasons = {str(row["id"]): str(row["reason"]) for row in excluded}
    for kind, (_, _, reason) in IMAGES.items():
        assert re.search(reason, reasons[kind]), kind
    for evil in EVIL:
        assert reasons[evil].startswith("no image file")
    assert reasons["ünïcode"].startswith("id is not plain ASCII text")
    assert reasons["twice"].startswith("id is given several times")
    assert reasons["both"].startswith("2 class flags are set")
    assert reasons["none"].startswith("no class flag is set")
    assert reasons["half"].startswith("a class flag is neither 0 nor 1")
    assert reasons["unflagged"].startswith("a class flag is missing")
    assert "a b" not in reasons
    assert "no catalogue row" in reasons.values()
    page = (out / "report.html").read_text()
    assert "<b>ünïcode</b>" not in page
    assert not Path("pickle-was-loaded").exists()


@pytest.mark.parametrize("kind", CATALOGUES)
def test_bad_catalogues(kind, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spoil, sentence = CATALOGUES[kind]
    spoil(folder)
    with refused(tmp_path, capsys, sentence) as ended:
        ended(run("resolution_sweep", "--data", folder, "--out", tmp_path / "run", *SWEEP))


@pytest.mark.parametrize(
    ("name", "flags", "sentence"), TOO_MUCH, ids=[f"{n} {' '.join(f)}"[:60] for n, f, _ in TOO_MUCH]
)
def test_flags_that_the_galaxies_do_not_allow(name, flags, sentence, folder, tmp_path, capsys):
    usual = {
        "resolution_sweep": SWEEP,
        "same_resolution": [*TINY, "--per-class", "4", "--factors", "2"],
        "phase_shift": [*TINY, "--per-class", "4"],
    }
    with refused(tmp_path, capsys, sentence) as ended:
        ended(run(name, "--data", folder, "--out", tmp_path / "run", *usual.get(name, TINY), *flags))


def test_a_thesis_on_bad_galaxies_makes_no_folder(folder, tmp_path, capsys):
    (folder / "catalogue.csv").write_text(HEADER + "\n")
    with refused(tmp_path, capsys, "has no rows") as ended:
        ended(run("thesis", "--data", folder, "--out", tmp_path / "run"))


def test_files_that_may_not_be_read(folder, tmp_path, capsys, monkeypatch):
    """The permission is taken by hand, since tests may run as root."""
    read_bytes = Path.read_bytes

    def denied(path):
        if path.suffix == ".npy":
            raise PermissionError(13, "Permission denied")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert run("resolution_sweep", "--data", folder, "--out", tmp_path / "run", *SWEEP) == 2
    assert re.search(r"8 left out, .*cannot be read \(Permission denied\)", capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", SAMPLES)
def test_bad_samples(kind, tmp_path, capsys):
    make, sentence = SAMPLES[kind]
    path = tmp_path / "sample.fits"
    make(path)
    if kind == "sparse and huge":  # which would take a day to check
        code = run("resolution_sweep", "--data", path, "--out", tmp_path / "run", *SWEEP)
        assert (code, sorted(tmp_path.iterdir())) == (2, [path])
        assert re.search(sentence, capsys.readouterr().err)
        return
    with refused(tmp_path, capsys, sentence) as ended:
        ended(run("resolution_sweep", "--data", path, "--out", tmp_path / "run", *SWEEP))


@pytest.mark.parametrize("kind", RUN_FOLDERS)
def test_bad_run_folders(kind, mixed, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole, flags = mixed
    spoil, sentence = RUN_FOLDERS[kind]
    out = tmp_path / "runs" / "run"
    shutil.copytree(whole, out)
    (tmp_path / "runs" / "precious").write_text("years of work")
    spoil(out)
    if kind.startswith("training"):  # found when the run has begun again
        assert run("same_resolution", "--out", out, *flags) == 2
        assert re.search(sentence, " ".join(capsys.readouterr().err.split()))
        assert not (tmp_path / "pickle-was-loaded").exists()
        return
    with refused(tmp_path, capsys, sentence) as ended:
        ended(run("same_resolution", "--out", out, *flags))


@pytest.mark.parametrize("call", ["mkdir", "write_bytes"])
def test_a_run_folder_on_a_read_only_disk(call, folder, tmp_path, capsys, monkeypatch):
    def denied(*arguments, **options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, call, denied)
    assert run("resolution_sweep", "--data", folder, "--out", tmp_path / "run", *SWEEP) == 2
    assert re.search(r"Cannot (make|write) .*run.*\(Read-only file system\)", " ".join(capsys.readouterr().err.split()))


def test_a_run_folder_with_a_name_too_long(folder, tmp_path, capsys):
    with refused(tmp_path, capsys, "Cannot make the folder .*File name too long.* Give another --out") as ended:
        ended(run("resolution_sweep", "--data", folder, "--out", tmp_path / ("x" * 300), *SWEEP))


@pytest.mark.parametrize("kind", LEGITIMATE)
def test_unusual_images_that_are_right(kind, tmp_path):
    folder = make_folder(tmp_path / "two words\nand \u00fc" / "..deep" / ".." / "..deep" / "galaxies", 0)
    ending, content, pixels = LEGITIMATE[kind]
    put(folder, "NGC 1300", ending, content)
    (folder / "catalogue.csv").write_text(f"{HEADER}\nNGC 1300,1,0,0\n")
    sample = load(SourceConfig(str(folder), FolderOptions(image_size=8)), 0)
    height, width = pixels.shape
    if height > 16:  # a picture: shrunk by 3
        expected = pixels[:24, :24].astype(np.float32).reshape(8, 3, 8, 3).mean(axis=(1, 3))
    else:
        expected = pixels[(height - 8) // 2 :, (width - 8) // 2 :][:8, :8]
    np.testing.assert_allclose(sample.images[0], expected, rtol=1e-6)
    assert sample.ids.tolist() == ["NGC 1300"]


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "vot"])
@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("OBJID", np.arange(GOOD, dtype=np.int16)),
        ("OBJID", [str(number) for number in range(GOOD)]),
        ("SPIRAL", (np.arange(GOOD) % 2 == 0)),
        ("SPIRAL", (np.arange(GOOD) % 2 == 0).astype(float)),
        ("ELLIPTICAL", np.array(["0", "1"] * 4)),
        ("UNCERTAIN", np.zeros(GOOD, np.uint8)),
        ("flux", np.ones(GOOD)),
    ],
)
def test_unusual_catalogues_that_are_right(ending, column, values, folder):
    catalogue(table_with(**{column: values}), ending)(folder)
    sample = load(SourceConfig(str(folder), FolderOptions(image_size=8)), 0)
    assert sample.ids.tolist() == list(range(GOOD))
    assert sample.labels.tolist() == [0, 1] * (GOOD // 2)
    assert sample.excluded == ()


@pytest.mark.slow
def test_a_million_rows(folder):
    """Half a minute and 1 GB; those without an image are listed."""
    lines = [HEADER, *(f"{number},{number % 2},{1 - number % 2},0" for number in range(1_000_000))]
    (folder / "catalogue.csv").write_text("\n".join(lines))
    sample = load(SourceConfig(str(folder), FolderOptions(image_size=8)), 0)
    assert (len(sample), len(sample.excluded)) == (GOOD, 1_000_000 - GOOD)


def test_there_are_enough_kinds():
    kinds = len(FLAGS) + len(IMAGES) + len(CATALOGUES) + len(TOO_MUCH) + len(SAMPLES) + len(RUN_FOLDERS)
    assert kinds >= 200
