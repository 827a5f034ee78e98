"""What the tests of build_sample share: how they run it, on what."""

from pathlib import Path

from experiments import build_sample

NAME = "GalaxyZoo1_DR_table2.csv.gz"
ATTEMPTS = 3
QUICK = ["--connections", "6", "--attempts", str(ATTEMPTS), "--backoff", "0.01", "--timeout", "1.2"]
SHAPE = (340, 460)
"""Of the small frames; each full-size one would take a tenth of a second."""
ROOT = Path(__file__).resolve().parents[2]


def flags(folder, server, *more):
    """Of a build in `folder` against the stand-in, without redshifts."""
    return [
        "--catalogue",
        str(folder / NAME),
        "--out",
        str(folder / "sdss.fits"),
        "--redshifts",
        "none",
        *QUICK,
        *server.addresses(),
        *more,
    ]


def run(folder, server, *more):
    return build_sample.main(flags(folder, server, *more))
