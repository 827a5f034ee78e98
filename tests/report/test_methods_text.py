"""The paragraph "Methods"."""

import re

import galjax
from galjax.config.settings import TrainingConfig
from galjax.report.methods_text import bibtex, methods_paragraph


def test_the_paragraph_says_what_the_configuration_has():
    about = {"galaxies": "Some galaxies.", "repeats": "Three repeats.", "tested": "Tested."}
    text = methods_paragraph(TrainingConfig(), about, (64, 64, 1), 2)
    for words in ("900 epochs", "rate 0.003", "batches of 8", "64 x 64 px", "1024 and 1024", "Three repeats. Tested."):
        assert words in text
    count = int(re.search(r"([\d,]+) parameters", text)[1].replace(",", ""))
    small = galjax.NetworkConfig(filters=(4, 4, 4), dense_units=(8,), input_scaling="sky")
    fewer = methods_paragraph(TrainingConfig(network=small), about, (64, 64, 1), 2)
    assert "the level and the noise of the sky" in fewer
    assert int(re.search(r"([\d,]+) parameters", fewer)[1].replace(",", "")) < count / 100
    residual = methods_paragraph(TrainingConfig(network=galjax.NetworkConfig("residual")), about, (64, 64, 3), 2)
    assert "residual blocks" in residual
    assert "3 bands" in residual
    assert galjax.__version__ in bibtex()
