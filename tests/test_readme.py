"""Every command, example and link of every README is understood, run or there."""

import importlib
import re
import shlex

import pytest

import galjax
from benchmarks.readme import READMES, ROOT
from experiments import build_sample, thesis
from galjax.cli import flags
from galjax.cli.check import Check
from galjax.cli.classify import Classify
from galjax.cli.command import _parse
from galjax.cli.experiment import Experiment
from galjax.cli.main import VERBS
from galjax.cli.simulate import Simulate

TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in READMES}
README = TEXTS["README.md"]
BLOCKS = [block for text in TEXTS.values() for block in re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)]
EXPERIMENTS = sorted(path.stem for path in (ROOT / "experiments").glob("*.py") if path.stem != "__init__")
COMMANDS = [line.split("#")[0].strip() for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
EXAMPLES = [text for kind, text in BLOCKS if kind == "python"]
TRAINS = "galjax.train("


def test_the_main_readme_is_short_and_begins_with_a_picture():
    assert len(README.splitlines()) <= 150
    picture = re.search(r"!\[[^]]+\]\(([^)]+)\)", README[:600])[1]
    assert (ROOT / picture).stat().st_size < 200_000


def test_every_readme_is_held_by_these_tests():
    there = {path for top in ("galjax", "experiments", "benchmarks") for path in (ROOT / top).rglob("README.md")}
    assert there | {ROOT / "README.md"} == set(READMES)


def test_the_two_set_up_commands_are_there():
    assert COMMANDS[0] == "pip install -e . && python -m experiments.resolution_sweep"
    assert COMMANDS[1] == "pip install -e '.[test]' && pytest"


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_to_files_and_headings_that_are_there(name):
    for target in re.findall(r"\]\(([^)]+)\)", TEXTS[name]):
        file, _, heading = target.partition("#")
        path = ((ROOT / name).parent / file).resolve()
        assert path.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", words.lower()).replace(" ", "-") for words in headings], target


@pytest.mark.parametrize("name", TEXTS)
def test_folders_and_files_that_are_named_are_there(name):
    named = re.findall(r"(?:galjax|experiments|benchmarks|tests)/[\w./]*", TEXTS[name])
    for path in named:
        assert (ROOT / path.rstrip(".")).exists(), path
    for module in re.findall(r"`(galjax(?:\.\w+)+)", TEXTS[name]):
        parent, _, attribute = module.rpartition(".")
        assert hasattr(importlib.import_module(parent), attribute), module


def understand(command, monkeypatch):
    """Give the command to its module; returns exit code and the configurations that would have been run."""
    python, m, name, *flags = shlex.split(command.split("&&")[-1].split("#")[0])
    assert (python, m) == ("python", "-m")
    module = importlib.import_module(name)
    understood = []
    monkeypatch.setattr(Experiment, "run", lambda self, config, console: understood.append(config))
    monkeypatch.setattr(thesis, "run", lambda config, console: understood.append(config))
    monkeypatch.setattr(build_sample, "run", lambda config, console: understood.append(config) or 0)
    monkeypatch.setattr("galjax.runs.folder.run_to_resume", lambda experiment, out: None)  # there is none here
    if "--help" in flags:
        with pytest.raises(SystemExit) as caught:
            module.main(flags)
        return caught.value.code, [None]
    return module.main(flags), understood


@pytest.mark.parametrize("command", [c for c in COMMANDS if "experiments." in c])
def test_every_experiment_command_is_understood(command, monkeypatch):
    code, understood = understand(command, monkeypatch)
    assert code == 0
    assert len(understood) == (0 if "interpolation_cost" in command else 1)


@pytest.mark.parametrize("command", [c for c in COMMANDS if "benchmarks." in c])
def test_every_benchmark_command_is_understood(command, monkeypatch):
    python, m, name, *flags = shlex.split(command)
    assert (python, m) == ("python", "-m")
    module = importlib.import_module(name)
    understood = []
    monkeypatch.setattr(module, "run", understood.append)
    assert module.main(flags) == 0
    assert len(understood) == 1


CLUSTER = [
    line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if "python -m experiments." in line
]


@pytest.mark.parametrize("line", CLUSTER)
def test_every_command_for_a_cluster_is_understood(line):
    """The part that is ours: nothing is joined or launched."""
    name, *flags = shlex.split(line.partition("python -m ")[2].rstrip("'").replace("$SLURM_ARRAY_TASK_ID", "3"))
    config = _parse(importlib.import_module(name).PRESETS, name, "", flags)
    assert config.out is not None


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("galjax ")])
def test_every_command_of_galjax_is_understood(command):
    _, verb, *arguments = shlex.split(command)
    places = {"check": (Check, 1), "classify": (Classify, 0), "simulate": (Simulate, 1), "resume": (None, 0)}
    config, skipped = places[verb]
    assert verb in VERBS
    if config is not None:
        assert flags.parse(config(), arguments[skipped:], command) is not None


@pytest.mark.skipif(not hasattr(galjax, "train"), reason="galjax.train does not exist yet")
def test_the_example_that_trains_runs(tmp_path, monkeypatch):
    (example,) = [example for example in EXAMPLES if TRAINS in example]
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(example.replace("repeats=5, epochs=30", "repeats=2, epochs=1"), "README.md", "exec"), names)
    assert len(names["ensemble"].predict(names["X_new"])) == len(names["X_new"])
    assert (tmp_path / "net").exists()
    assert (tmp_path / "sample.fits").exists()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_recipe_of_every_experiment_is_understood(name, monkeypatch):
    module = importlib.import_module(f"experiments.{name}")
    lines = [line for line in module.__doc__.splitlines() if line.strip().startswith("python -m experiments.")]
    assert lines
    for line in lines:
        code, understood = understand(line, monkeypatch)
        assert code == 0
        assert len(understood) == (0 if name == "interpolation_cost" else 1)


def test_the_readme_names_every_experiment():
    for name in EXPERIMENTS:
        assert f"experiments.{name}" in README


def test_extras_that_the_readme_names_exist():
    project = (ROOT / "pyproject.toml").read_text()
    for extra in re.findall(r"\.\[(\w+)\]", "".join(TEXTS.values())):
        assert re.search(rf"^{extra} = ", project, re.MULTILINE)
