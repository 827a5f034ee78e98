import pytest

from benchmarks import archives
from benchmarks.archives import GALJAX, LOOP, tables

SECONDS = {"median": 0.05, "min": 0.04, "max": 0.06, "n": 5}
ROW = {"seconds_per_frame": SECONDS, "frames": 60, "stamps": 100, "difference": 0.2}
PART = {"seconds": 60.0, "requests": 800, "frames": 690, "frames_sent_twice": 1, "faults": {"html": 3, "missing": 4}}
RESULTS = {
    "frame_bytes": 2.5e6,
    "shape": (1489, 2048),
    "throughput": [
        ROW | {"contender": LOOP, "ratio": 1.0, "frames_per_second": 5.0},
        ROW | {"contender": GALJAX, "ratio": 4.0, "frames_per_second": 20.0},
    ],
    "chain": {
        "undisturbed": PART,
        "ended": PART,
        "bytes_equal": True,
        "galaxies": 2004,
        "cut_out": 1950,
        "left_out": 54,
        "as_the_truth": 2003,
        "from_archive": {"das": 1900, "sas": 50},
        "stars": 150,
        "star_offset_px": {"median": 0.1, "max": 0.3},
    },
    "sweep": {"seconds": 60.0, "accuracy": {"Original": 0.9, "1/2": 0.8}},
}


def test_tables_have_the_ratio_first_and_the_best_on_top():
    made = tables(RESULTS)
    lines = made["archives-throughput"].splitlines()
    assert lines[2].startswith("| galjax | 4.0 | 20.0 | 16.7 - 25.0 |")
    assert lines[3].startswith(f"| {LOOP} | 1.0 | 5.0 |")
    assert "2004 = 1950 + 54" in made["archives-chain"]
    assert "| faulty answers survived | 7 |" in made["archives-chain"]
    assert "Original 0.90, 1/2 0.80" in made["archives-chain"]


@pytest.mark.slow
def test_the_chain_on_small_frames(capsys):
    assert archives.main(["--quick"]) == 0
    shown = capsys.readouterr().out
    assert "the same bytes" in shown
    assert "64 = " in shown
