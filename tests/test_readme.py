"""Every command and example of the README is understood or run."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from experiments import resolution_sweep

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]


def test_the_two_set_up_commands_are_there():
    assert COMMANDS[0] == "pip install -e . && python -m experiments.resolution_sweep"
    assert COMMANDS[1] == "pip install -e '.[test]' && pytest"


@pytest.mark.parametrize("command", [c for c in COMMANDS if "experiments." in c])
def test_every_experiment_command_is_understood(command, monkeypatch, capsys):
    understood = []
    python, m, name, *flags = shlex.split(command.split("&&")[-1])
    assert (python, m) == ("python", "-m")
    module = importlib.import_module(name)
    monkeypatch.setattr(module, "run", lambda config, console: understood.append(config) or 0)
    if "--help" in flags:
        with pytest.raises(SystemExit) as caught:
            module.main(flags)
        assert caught.value.code == 0
        return
    assert module.main(flags) == 0
    assert len(understood) == 1


@pytest.mark.parametrize("command", [c for c in COMMANDS if "benchmarks." in c])
def test_every_benchmark_command_is_understood(command, monkeypatch):
    python, m, name, *flags = shlex.split(command)
    assert (python, m) == ("python", "-m")
    module = importlib.import_module(name)
    understood = []
    work = "with_tables" if name == "benchmarks.readme" else "run"
    monkeypatch.setattr(module, work, lambda argument: understood.append(argument) or README)
    assert module.main(flags) == 0
    assert len(understood) == 1


@pytest.mark.parametrize("example", [text for kind, text in BLOCKS if kind == "python"])
def test_every_library_example_runs(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["blurred"].shape == names["spirals"].images.shape
    assert (tmp_path / "sample.fits").exists()


def test_the_recipe_of_the_experiment_is_understood(monkeypatch):
    monkeypatch.setattr(resolution_sweep, "run", lambda config, console: None)
    lines = [line.split("#")[0] for line in resolution_sweep.__doc__.splitlines() if "python -m" in line]
    assert len(lines) == 3
    for line in lines:
        assert resolution_sweep.main(shlex.split(line)[3:]) == 0


def test_extras_that_the_readme_names_exist():
    project = (ROOT / "pyproject.toml").read_text()
    for extra in re.findall(r"\.\[(\w+)\]", README):
        assert re.search(rf"^{extra} = ", project, re.MULTILINE)
