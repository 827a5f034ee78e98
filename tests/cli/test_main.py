import json
import subprocess
import sys

import numpy as np
import pytest

import galjax
from galjax.cli.main import VERBS, main
from tests.experiments.test_resolution_sweep import ROOT, run


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"galjax {galjax.__version__}\n"
    for arguments in ([], ["--help"], ["-h"]):
        assert main(arguments) == 0
        text = capsys.readouterr().out
        assert all(verb in text for verb in VERBS)
        assert max(map(len, text.splitlines())) <= 112


def test_what_cannot_be_done_gets_a_sentence(tmp_path, capsys):
    assert main(["fly"]) == 2
    assert "galjax has no verb 'fly'; there is check, classify, score, simulate, resume" in capsys.readouterr().err
    assert main(["resume"]) == 2
    assert main(["resume", "--help"]) == 0
    assert "usage: galjax resume RUN" in capsys.readouterr().out
    assert main(["resume", str(tmp_path)]) == 2
    assert "holds no run (no readable config.json)" in capsys.readouterr().err
    for name in ("flying", "../x", 3):
        (tmp_path / "config.json").write_text(json.dumps({"experiment": name}))
        assert main(["resume", str(tmp_path)]) == 2
        assert f"experiments.{name}" in capsys.readouterr().err


@pytest.mark.thorough
@pytest.mark.parametrize("command", [["-m", "galjax"]])
def test_a_run_is_resumed_to_more_epochs_as_if_undisturbed(tmp_path, command):
    assert run("--out", tmp_path / "run", "--epochs", 2) == 0
    done = subprocess.run(
        [sys.executable, *command, "resume", tmp_path / "run", "--epochs", "4"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "epoch 2" in done.stdout
    assert run("--out", tmp_path / "whole", "--epochs", 4) == 0
    for name in ("results.ecsv", "history.npz", "test_predictions.ecsv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    ours, theirs = (galjax.load(tmp_path / name) for name in ("run", "whole"))
    images = np.random.default_rng(0).random((3, 32, 32))
    np.testing.assert_array_equal(ours.probabilities(images), theirs.probabilities(images))


def test_check_says_what_is_there_and_what_to_run(tmp_path, capsys):
    for number, name in enumerate(("a", "b")):
        (tmp_path / "my galaxies" / name).mkdir(parents=True)
        np.save(tmp_path / "my galaxies" / name / f"{number}.npy", np.random.default_rng(number).random((101, 101)))
    assert main(["check", str(tmp_path / "my galaxies"), "--channel", "all"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "my galaxies/: 2 images; label: a 1, b 1; images in my galaxies/: 2 of 2, 101x101 px, one band; no redshift"
    )
    assert "Stamps of 64 px: middle 64 of 101 px." in out
    assert f"resolution_sweep --data '{tmp_path}/my galaxies' --channel all --classes a b" in out
    for arguments, sentence in (([], "needs a folder or file"), ([str(tmp_path / "no")], "There is no file or folder")):
        assert main(["check", *arguments]) == 2
        assert sentence in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["check", "--help"])
    assert ended.value.code == 0
    assert "--file-pattern TEXT" in capsys.readouterr().out
