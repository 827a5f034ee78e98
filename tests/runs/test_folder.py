import dataclasses
import json

import jax
import numpy as np
import pytest
from astropy.table import Table

from galjax import Exclusion, InputError
from galjax.runs.folder import RunFolder, configuration, open_run, run_to_resume


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    scale: float = float("nan")


@dataclasses.dataclass(frozen=True)
class Config:
    inner: Inner = dataclasses.field(default_factory=Inner)
    data: str = "here"
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
    config = json.loads((tmp_path / "empty" / "config.json").read_text(), parse_constant=not_json)["config"]
    assert config == {
        "inner": {"rate": 0.1, "scale": "NaN"},
        "data": "here",
        "epochs": 3,
        "methods": ["nearest", "bilinear"],
    }
    again = configuration(Config, config, "")
    assert np.isnan(again.inner.scale)
    assert repr(again) == repr(Config())


def not_json(constant):
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epochs": "many"}, "does not fit this version of galjax: epochs cannot be 'many'"),
        ({"colour": 1}, "colour is not a field of Config"),
    ],
)
def test_a_configuration_that_is_none_is_refused(change, sentence):
    with pytest.raises(InputError, match=f"The configuration in runs/x .*{sentence}"):
        configuration(Config, change, "runs/x")


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


def begun(folder, started):
    """A run that says it was begun at that time."""
    open_it(folder).close()
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"started": started}))
    return folder


def test_the_newest_run_is_the_one_begun_last_whatever_its_name_says(tmp_path, monkeypatch):
    """Names by clocks of Kiribati and Hawaii, the hour that comes twice in autumn, a copy, and files touched later."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "runs" / "sweep"
    begun(home / "2026-10-25T23-00-00", "2026-10-25T09:00:00.000001+00:00")  # in Kiribati
    begun(home / "2026-10-25T02-50-00", "2026-10-25T00:50:00+00:00")  # before the clocks went back in Berlin
    newest = begun(home / "2026-10-24T23-00-00", "2026-10-25T11:00:00+02:00")  # in Hawaii; a microsecond less
    assert run_to_resume("sweep", None)["path"] == "runs/sweep/2026-10-25T23-00-00"
    begun(newest, "2026-10-25T09:00:00.000002+00:00")
    begun(home / "2026-10-24T23-00-00 (copy)", "2026-10-25T09:00:00.000002+00:00")
    (home / "2026-10-25T23-00-00" / "config.json").touch()
    (home / "9999").mkdir()
    (home / "9999" / "config.json").write_text("{")
    assert run_to_resume("sweep", None)["path"] == "runs/sweep/2026-10-24T23-00-00"
    assert open_it(None, resume=True).path.name == newest.name


def test_where_and_when_a_run_goes_on_is_kept_from_its_beginning(tmp_path):
    folder = begun(tmp_path / "run", "2020-02-02T02:02:02+00:00")
    path = folder / "config.json"
    before = json.loads(path.read_text())
    before["jax"]["jax"] = "0.1"
    path.write_text(json.dumps(before))
    again = open_it(folder, Config(data="moved", epochs=5))
    (note,) = again.notes
    assert "Started under other settings, so the results are not bit for bit the same" in note
    assert f"jax was '0.1', now '{jax.__version__}'" in note
    now = json.loads(path.read_text())
    assert now == before | {"config": before["config"] | {"data": "moved", "epochs": 5}}


def test_a_run_that_is_to_be_trained_on_has_no_longer_ended(tmp_path):
    folder = open_it(tmp_path / "run")
    folder.write_json("environment.json", {})
    assert folder.finished
    folder.close()
    longer = open_it(tmp_path / "run", Config(epochs=4))
    assert not longer.finished


def test_a_learning_rate_that_falls_to_an_end_allows_no_further_epochs(tmp_path):
    kind = dataclasses.make_dataclass("Falling", [("rate_schedule", str, "cosine"), ("epochs", int, 3)], frozen=True)
    open_it(tmp_path / "run", kind()).close()
    open_it(tmp_path / "run", kind()).close()
    with pytest.raises(InputError, match=r"--epochs was 3, now 4 .the learning rate falls towards the last epoch"):
        open_it(tmp_path / "run", kind(epochs=4))


def test_the_run_to_go_on_with(tmp_path):
    assert run_to_resume("sweep", tmp_path / "new") is None
    open_it(tmp_path / "run").close()
    found = run_to_resume("sweep", tmp_path / "run")
    assert found["path"] == str(tmp_path / "run")
    assert found["config"]["epochs"] == 3
    with pytest.raises(InputError, match="holds a run of sweep, not of other"):
        run_to_resume("other", tmp_path / "run")


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
            {"config": Config(epochs=2, inner=Inner(rate=0.2))},
            r"--epochs was 3, now 2 \(a run can be trained on, not back\); --inner\.rate was 0\.1, now 0\.2",
        ),
        ({}, {"config": Config(methods=("nearest",))}, "--methods was nearest bilinear, now nearest[.;]"),
        ({}, {"digest": "other"}, "run on other galaxies"),
        ({}, {"experiment": "phase_shift"}, "run of sweep, not of phase_shift"),
        ({"format": 1}, {}, "layout 1; this version reads layout 4.* or use the version that"),
        (
            {"jax": {"jax_default_prng_impl": "rbg"}},
            {},
            "other random numbers: jax_default_prng_impl was 'rbg', now 'threefry2x32'",
        ),
        ({"format": 99}, {}, "layout 99; this version reads layout 4"),
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
