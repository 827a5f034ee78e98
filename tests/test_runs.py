import dataclasses
import json

import numpy as np
import pytest
from astropy.table import Table

from galjax import Exclusion, InputError
from galjax.runs import RunFolder, open_run


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    scale: float = float("nan")


@dataclasses.dataclass(frozen=True)
class Config:
    inner: Inner = dataclasses.field(default_factory=Inner)
    epochs: int = 3
    methods: tuple[str, ...] = ("nearest", "bilinear")
    out: str | None = None
    resume: bool = False


def open_it(out, config=None, resume=False, digest="abc", experiment="sweep"):
    return open_run(experiment, config or Config(), out, resume=resume, sample_digest=digest)


def test_a_new_or_empty_folder_is_started(tmp_path):
    assert open_it(tmp_path / "a" / "b").is_new
    (tmp_path / "empty").mkdir()
    assert open_it(tmp_path / "empty").is_new
    assert json.loads((tmp_path / "empty" / "config.json").read_text())["config"]["epochs"] == 3


def test_the_same_configuration_goes_on_whatever_the_place_and_resume_flag(tmp_path):
    open_it(tmp_path / "run")
    again = open_it(tmp_path / "run", Config(out="elsewhere", resume=True), resume=True)
    assert not again.is_new
    assert not again.finished


def test_without_out_a_folder_is_made_and_resume_finds_the_newest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no run in runs/sweep to resume"):
        open_it(None, resume=True)
    first = open_it(None)
    second = open_it(None)
    second.close()
    assert first.path != second.path
    assert first.path.parent.as_posix() == "runs/sweep"
    assert open_it(None, resume=True).path == second.path


def spoiled(tmp_path, **changes):
    open_it(tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("changes", "call", "sentence"),
    [
        (
            {},
            {"config": Config(epochs=4, inner=Inner(rate=0.2))},
            r"epochs was 3, now 4; inner\.rate was 0\.1, now 0\.2",
        ),
        ({}, {"config": Config(methods=("nearest",))}, "methods was"),
        ({}, {"digest": "other"}, "run on other galaxies"),
        ({}, {"experiment": "phase_shift"}, "run of sweep, not of phase_shift"),
        ({"format": 99}, {}, "layout 99; this version reads layout 1"),
    ],
)
def test_another_run_is_refused_and_untouched(tmp_path, changes, call, sentence):
    folder = spoiled(tmp_path, **changes)
    before = (folder / "config.json").read_text()
    with pytest.raises(InputError, match=sentence):
        open_it(folder, **call)
    assert (folder / "config.json").read_text() == before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', "\x00"])
def test_a_folder_that_is_not_ours_is_refused_and_untouched(tmp_path, content):
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match="no readable run of this program"):
        open_it(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "thesis.txt"]


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        open_it(tmp_path / "file")
    with pytest.raises(InputError, match="Cannot make the folder"):
        open_it(tmp_path / "file" / "below")


def test_tables_and_arrays_read_back(tmp_path):
    folder = RunFolder(tmp_path, is_new=True)
    folder.write_table("a.ecsv", Table({"accuracy": [0.1, np.nan], "usable": [True, False]}, meta={"note": "é"}))
    table = Table.read(tmp_path / "a.ecsv")
    assert table["accuracy"][0] == 0.1
    assert table["usable"].tolist() == [True, False]
    assert table.meta["note"] == "é"
    folder.write_exclusions([Exclusion("7", "images/a b.png", 'is cut off, "really"')])
    assert tuple(Table.read(tmp_path / "excluded.ecsv")[0]) == ("7", "images/a b.png", 'is cut off, "really"')
    folder.write_exclusions([])
    assert Table.read(tmp_path / "excluded.ecsv").colnames == ["id", "file", "reason"]
    assert folder.read_history("absent.npz") is None
    assert not list(tmp_path.glob("*.partial"))


def test_a_folder_that_cannot_be_written_gets_a_sentence_and_keeps_the_old_file(tmp_path):
    folder = RunFolder(tmp_path, is_new=True)
    folder.write_text("summary.txt", "old")
    (tmp_path / "summary.txt.partial").mkdir()  # in the way of the new file, also for root
    with pytest.raises(InputError, match=r"Cannot write .*summary\.txt.* What was computed so far is kept"):
        folder.write_text("summary.txt", "new")
    assert (tmp_path / "summary.txt").read_text() == "old"
