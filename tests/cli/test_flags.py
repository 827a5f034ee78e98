"""Flags and their help: groups, widths, true phrases, what is read under -OO, and how little is imported to answer."""

import dataclasses
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import tyro

import experiments
from experiments import build_sample, interpolation_cost, resolution_sweep
from galjax.cli import flags

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = [importlib.import_module(f"experiments.{name}") for name in (*experiments.EXPERIMENTS, "thesis")]
BENCHMARKS = (
    "accelerator",
    "archives",
    "plan",
    "profile",
    "resampling",
    "scaling",
    "start",
    "training",
    "weak_scaling",
)
COMMANDS = [
    *(module.__name__ for module in (*EXPERIMENTS, build_sample)),
    *(f"benchmarks.{name}" for name in BENCHMARKS),
]
HEAVY = {"jax", "flax", "optax", "orbax", "scipy", "matplotlib", "cv2", "astropy", "numpy"}


def shown(command, monkeypatch, capsys, width, *arguments):
    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(command).main(list(arguments))
    assert ended.value.code == 0
    return capsys.readouterr().out


def texts(help_text):
    """The words of every flag, by its name, without line breaks."""
    found = {}
    for block in re.split(r"\n(?=  -)", help_text.partition("\n\nHelp:")[0])[1:]:
        block = block.partition("\n\n")[0]
        found[block.split()[0]] = " ".join(block.split())
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_is_in_the_help_with_a_whole_phrase(command, monkeypatch, capsys):
    """Those that tyro understands, and --preset; none is cut off at 60 columns, and nothing needs the thesis to be read."""
    everything = shown(command, monkeypatch, capsys, 60, "--help-all")
    described = texts(everything[everything.index(":\n  --") :])
    module = importlib.import_module(command)
    configs = [value for value in vars(module).values() if dataclasses.is_dataclass(value) and isinstance(value, type)]
    (config,) = [c for c in configs if c.__module__ == command and (c.__doc__ or "").startswith("Flags")]
    with pytest.raises(SystemExit):
        tyro.cli(config, args=["--help"], config=(tyro.conf.FlagCreatePairsOff,))
    known = set(re.findall(r"^(?:│| ) (--[a-z][\w.-]*)", capsys.readouterr().out, re.M))
    assert set(described) - {"--preset"} == known
    for line in everything.splitlines():
        assert len(line) <= 60 or " " not in line.strip(), line
    for flag in flags.flags_of(config()):
        phrase = re.sub(r" ?\(default: .*\)$", "", flag.text).replace("runs/thesis/TIME", "")
        assert re.match(r"(?!Of )[A-Z0-9]|auto:|host:port", phrase), flag
        assert phrase.endswith((".", ")")), flag
        assert not re.search(r"thesis|mend|reckon|gone on with|told of|picture|enlarging method", phrase), flag


def test_the_short_help_has_three_groups_and_names_the_others(monkeypatch, capsys):
    short = shown("experiments.resolution_sweep", monkeypatch, capsys, 80, "--help")
    assert re.findall(r"^(\w[\w ]*):$", short, re.M) == ["Data", "Experiment", "Output", "Help"]
    assert "Show also: Simulated galaxies, Network, Execution, Several machines." in " ".join(short.split())
    assert "--filters" not in short
    everything = shown("experiments.resolution_sweep", monkeypatch, capsys, 80, "--help-all")
    groups = re.findall(r"^(\w[\w ]*):$", everything, re.M)
    assert groups == [
        "Data",
        "Experiment",
        "Output",
        "Simulated galaxies",
        "Network",
        "Execution",
        "Several machines",
        "Help",
    ]
    network = everything.partition("Network:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^  (--[\w-]+)", network, re.M) == [
        "--learning-rate",
        "--momentum",
        "--batch-size",
        "--rate-schedule",
        "--network",
        "--filters",
        "--padding",
        "--dense-units",
        "--dropout",
        "--initialisation",
        "--input-scaling",
        "--augment",
        *(f"--augment-{name}" for name in ("factor", "methods", "shift", "rotation", "seeing", "noise")),
    ]


def test_the_preset_says_what_it_sets_and_changes_the_defaults(monkeypatch, capsys):
    short = shown("experiments.resolution_sweep", monkeypatch, capsys, 80, "--help")
    plain = "--learning-rate 0.003, --rate-schedule constant, --augment none"
    assert texts(short)["--preset"] == (
        "--preset {quick,standard,thesis,robust} Defaults to start from: quick (--repeats 6, --validation-fraction 0.1, --epochs 24, "
        f"--evaluate-every 8, {plain}, --per-class 300) or standard (--repeats 10, --validation-fraction 0.1, --epochs 60, --evaluate-every 5, "
        f"{plain}, --per-class 300 1000) or thesis (--repeats 30, --validation-fraction 0.0, --epochs 900, --evaluate-every 10, {plain}, "
        "--per-class 300 500 800 1000) or robust (--repeats 10, --validation-fraction 0.1, --epochs 60, --evaluate-every 5, --learning-rate "
        "0.01, --rate-schedule cosine, --augment all, --per-class 300 1000). Flags that are given replace them. (default: quick)"
    )
    assert texts(short)["--repeats"].endswith("(default: 6)")
    full = shown("experiments.resolution_sweep", monkeypatch, capsys, 80, "--preset", "thesis", "--help")
    assert texts(full)["--repeats"].endswith("(default: 30)")


@dataclasses.dataclass(frozen=True)
class Inner:
    """For the test below."""

    size: int = 3
    """Size, px."""


@dataclasses.dataclass(frozen=True)
class Outer:
    """For the test below."""

    flat: Annotated[Inner, flags.Flat, flags.NETWORK] = dataclasses.field(default_factory=Inner)
    deep: Inner = dataclasses.field(default_factory=lambda: Inner(5))
    keep: bool = True
    """Do not keep."""
    names: tuple[str, ...] = ("a", "b")
    """Names."""
    place: Annotated[Path | None, flags.OUTPUT] = None
    """Place. None: here."""
    secret: Annotated[int, flags.Hidden] = 1


def test_flags_have_the_names_values_and_groups_of_their_fields():
    found = {flag.typed: (flag.text, flag.group.title, flag.default) for flag in flags.flags_of(Outer())}
    assert found == {
        "--size INT": ("Size, px. (default: 3)", "Network", "3"),
        "--deep.size INT": ("Size, px. (default: 5)", "Options", "5"),
        "--no-keep": ("Do not keep.", "Options", ""),
        "--names TEXT ...": ("Names. (default: a b)", "Options", "a b"),
        "--place PATH": ("Place. None: here. (default: None)", "Output", "None"),
    }


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        (["--place=~/x"], "HOME/x"),
        (["--place", "~/x"], "HOME/x"),
        (["--place=~"], "HOME"),
        (["--place", "./~/x"], "~/x"),
        (["--place", "a~/x"], "a~/x"),
        (["--place=~nobody-here/x"], "~nobody-here/x"),
    ],
)
def test_the_home_folder_is_what_a_shell_takes_it_for(given, understood, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    config = flags.parse(Outer(), given, "program", "")
    assert config.place == Path(understood.replace("HOME", "/home/someone"))


def test_a_run_below_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(type(resolution_sweep.EXPERIMENT), "run", lambda self, config, console: taken.append(config))
    taken = []
    assert resolution_sweep.main(["--out=~/run", "--data", "~/galaxies"]) == 0
    assert (taken[0].out, taken[0].source.data) == (tmp_path / "run", str(tmp_path / "galaxies"))


def answer(*arguments, options=()):
    """Exit code and output of a process of its own, and the heavy packages that it had imported when it ended."""
    script = (
        "import atexit, runpy, sys\n"
        "atexit.register(lambda: print('imported', *{name.partition('.')[0] for name in sys.modules}, file=sys.__stderr__))\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_module(sys.argv[0], run_name='__main__') if len(sys.argv) > 1 else __import__(sys.argv[0])\n"
    )
    done = subprocess.run(
        [sys.executable, *options, "-c", script, *arguments],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    said, _, imported = done.stderr.rpartition("imported ")
    return done.returncode, done.stdout, said, set(imported.split()) & HEAVY


@pytest.mark.parametrize("module", EXPERIMENTS, ids=lambda module: module.NAME)
def test_help_a_wrong_flag_and_a_wrong_path_need_no_heavy_package(module):
    code, out, _, imported = answer(module.__name__, "--help")
    assert (code, imported) == (0, set())
    assert out.startswith(f"usage: python -m {module.__name__} [FLAG ...]\n")
    code, _, said, imported = answer(module.__name__, "--repeat", "3")
    assert (code, imported) == (2, set())
    assert "Perhaps you meant" in said
    assert "--repeats" in said
    code, _, said, imported = answer(module.__name__, "--data", "nowhere")
    assert (code, imported) == (2, set())
    assert said.startswith("error: --data 'nowhere' is neither 'simulated' nor an existing folder or file.")


def test_other_commands_and_the_library_import_what_they_need():
    assert answer("galjax")[3] == set()
    assert not answer("experiments.build_sample", "--help")[3] & {"jax", "flax", "optax", "orbax", "matplotlib"}


@pytest.mark.parametrize("command", ["experiments.resolution_sweep", "experiments.thesis", "experiments.build_sample"])
def test_without_docstrings_the_help_still_says_what_flags_are(command):
    code, plain, *_ = answer(command, "--help", options=["-OO"])
    assert code == 0
    flags_of = {name: text for name, text in texts(plain).items() if name != "-h,"}
    assert flags_of == texts(answer(command, "--help")[1])


def test_without_docstrings_the_command_without_flags_answers(monkeypatch, capsys):
    monkeypatch.setattr(interpolation_cost, "__doc__", None)
    assert interpolation_cost.main(["--help"]) == 0
    assert interpolation_cost.QUESTION in capsys.readouterr().out
