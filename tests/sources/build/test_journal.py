import sqlite3

import numpy as np
import pytest

from galjax import InputError
from galjax.sources.archives.skyserver import Spectrum
from galjax.sources.build.journal import Failure, Stamp, open_journal

PIXELS = np.random.default_rng(0).normal(0, 1, (8, 8)).astype(np.float32)
STAMP = Stamp(3, PIXELS, {"sky": 391.0000000001, "frame": "a", "odd": float("nan")})
FAILURE = Failure(1, "fetch", "das: HTTP 503", 5, transient=True)


def test_everything_comes_back_bit_for_bit(tmp_path):
    with open_journal(tmp_path / "b") as journal:
        journal.record("one", [STAMP, FAILURE])
        journal.record_page("0-1", [Spectrum(587727178986356823, 2, 0.1, 1e-4, 0, "GALAXY")])
    with open_journal(tmp_path / "b") as journal:
        ((galaxy, pixels, facts),) = journal.stamps()
        assert galaxy == 3
        np.testing.assert_array_equal(np.frombuffer(pixels, "<f4").reshape(8, 8), PIXELS)
        assert facts["sky"] == 391.0000000001
        assert np.isnan(facts["odd"])
        assert journal.failures() == [FAILURE]
        assert journal.done() == {"one"}
        assert journal.counts() == (1, 1)
        assert journal.has_page("0-1")
        assert not journal.has_page("1-2")
        assert journal.spectra() == [Spectrum(587727178986356823, 2, 0.1, 1e-4, 0, "GALAXY")]
        assert journal.failed_jobs() == ["one"]
        journal.forget(["one"])
        assert journal.counts() == (0, 0)
        assert journal.done() == set()


def test_a_job_is_kept_whole_or_not_at_all(tmp_path):
    with open_journal(tmp_path) as journal:
        journal._connection.execute("DROP TABLE jobs")
        with pytest.raises(InputError, match="no such table"):
            journal.record("one", [STAMP, FAILURE])
        assert journal.counts() == (0, 0)


def test_another_configuration_is_refused_and_named(tmp_path):
    with open_journal(tmp_path) as journal:
        journal.check_same({"size": "16", "band": "z"})
        journal.check_same({"size": "64", "band": "r"})  # nothing was done with the other one
        journal.record("one", [STAMP])
        journal.check_same({"size": "64", "band": "r"})
        with pytest.raises(InputError, match=r"another configuration: band was r, now g; size was 64, now 32\."):
            journal.check_same({"size": "32", "band": "g"})


def test_two_builds_in_one_folder_are_one_too_many(tmp_path):
    with open_journal(tmp_path) as journal:
        journal.record("one", [STAMP])
        with pytest.raises(InputError, match="Another program is building in"), open_journal(tmp_path):
            pass


def test_journals_that_cannot_be_used_get_a_sentence(tmp_path):
    (tmp_path / "journal.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 30)
    with pytest.raises(InputError, match="is damaged"), open_journal(tmp_path):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot make the folder"), open_journal(tmp_path / "file" / "b"):
        pass
    connection = sqlite3.connect(tmp_path / "new.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    (tmp_path / "new.sqlite").rename(tmp_path / "journal.sqlite")
    with pytest.raises(InputError, match="is of layout 99"), open_journal(tmp_path):
        pass


def test_a_full_disk_is_a_sentence(tmp_path):
    with open_journal(tmp_path) as journal:
        pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
        journal._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(InputError, match=r"The disk of .* is full. What was done so far is kept"):
            journal.record("one", [Stamp(n, np.zeros((64, 64), np.float32), {}) for n in range(40)])
        assert journal.counts() == (0, 0)
