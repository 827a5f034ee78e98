"""What a user decides about a training: the network, its training, how it is computed, what counts as usable.

Plain dataclasses whose fields are flags (`galjax.cli.flags`). Nothing here needs JAX, so that `--help` and a wrong flag are
answered at once; what the settings mean is in the modules that take them.
"""

import dataclasses
from typing import Annotated, Literal, get_args

from galjax.config.json_form import Suggested, SuggestedRate
from galjax.config.markers import EXECUTION, MACHINES, NETWORK, OUTPUT, Flat
from galjax.errors import InputError

NetworkName = Literal["thesis", "residual"]
InputScaling = Literal["auto", "sky", "asinh", "standard", "minmax", "none"]
Initialisation = Literal["glorot_uniform", "he_normal", "lecun_normal"]
RateSchedule = Literal["constant", "cosine"]
Padding = Literal["same", "valid"]
LoweringName = Literal["direct", "patches", "xla"]
Precision = Literal["float32", "tf32", "bfloat16"]
Convention = Literal["opencv", "jax"]
OnDivergence = Literal["stop", "drop"]
Draws = Literal["overlapping", "disjoint"]
EnlargingMethod = Literal["nearest", "bilinear", "bicubic", "lanczos", "wiener"]
Recipe = Literal["none", "dihedral", "resolution", "all"]

KERNEL_SIZES = (3, 3, 2)
"""Kernel sizes of the three convolutions, px (thesis, section 4.1 and figure 4.5)."""
MOST_FILTERS, MOST_UNITS = 4096, 65536
MOST_DELAYED_STEPS = 1024
MOST_FACTOR = 64
MOST_EPOCHS = 1_000_000


NO_EFFECT: dict[NetworkName, dict[str, str]] = {
    "thesis": {},
    "residual": {
        "padding": "its convolutions keep the size",
        "dense_units": "it has no hidden dense layers",
        "dropout": "it trains without",
    },
}
"""Fields that a network has no use for, and why."""
LEARNING_RATES: dict[NetworkName, float] = {"thesis": 0.003, "residual": 0.01}
"""That of residual was chosen on validation galaxies (`benchmarks.networks`)."""


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Which network, and what it is made of. Every field decides shapes or code, so all are static.

    The thesis (section 4.1) states none of them but the dense layers' widths.
    """

    network: NetworkName = "thesis"
    """Which network is trained: three convolutions and wide dense layers (the default), or residual, a convolution and three
    residual blocks with standardised kernels, and the mean over all pixels."""
    filters: tuple[int, int, int] = (32, 64, 128)
    """Filters of each of the three convolutions, or residual blocks."""
    padding: Padding = "valid"
    """Edges of the convolutions: valid (no padding) or same (zeros outside). Without effect on residual, which keeps the size."""
    dense_units: tuple[int, ...] = (1024, 1024)
    """Widths of the hidden dense layers, which residual does not have."""
    dropout: float = 0.5
    """Fraction of units dropped after each hidden dense layer while training, 0 to below 1; not for residual."""
    initialisation: Initialisation = "he_normal"
    """Distribution that the starting kernels are drawn from; biases start at zero."""
    input_scaling: InputScaling = "auto"
    """How pixel values are scaled. sky: arcsinh((pixel - level) / unit) / 2, with the level and noise of the sky in a band,
    measured once at the borders of the training images. In each image and band by itself: standard to mean 0 and standard
    deviation 1, asinh the arcsinh of standard, minmax to 0..1. Or none. auto: asinh for 8-bit images (JPEG, PNG), else
    sky."""

    def __post_init__(self) -> None:
        if len(self.filters) != len(KERNEL_SIZES) or not 1 <= min(self.filters) <= max(self.filters) <= MOST_FILTERS:
            raise InputError(
                f"--filters takes three numbers of at least 1 and at most {MOST_FILTERS}, one per convolution or block, not "
                f"{self.filters}."
            )
        if not self.dense_units or not 1 <= min(self.dense_units) <= max(self.dense_units) <= MOST_UNITS:
            raise InputError(
                f"--dense-units takes one or more numbers of at least 1 and at most {MOST_UNITS}, not {self.dense_units}."
            )
        if not 0 <= self.dropout < 1:
            raise InputError(f"--dropout must be at least 0 and below 1, not {self.dropout}.")
        for field in dataclasses.fields(self):
            reason, value = NO_EFFECT[self.network].get(field.name), getattr(self, field.name)
            if reason and value != field.default:
                raise InputError(
                    f"--{field.name.replace('_', '-')} has no effect on --network {self.network}: {reason}. Leave it out."
                )


@dataclasses.dataclass(frozen=True)
class OptimiserConfig:
    """Stochastic gradient descent. The floats are traced: another learning rate costs no retrace.

    The batch size is the thesis's (section 4.1), which states neither learning rate nor momentum.
    """

    learning_rate: float = SuggestedRate(LEARNING_RATES["thesis"])
    """Step size of stochastic gradient descent, above 0. Where it is not given, residual takes 0.01."""
    momentum: float = 0.0
    """Heavy-ball momentum, 0 to below 1; 0 also keeps no second copy of the weights."""
    batch_size: int = Suggested(8)
    """Galaxies per step; the last batch of an epoch may be smaller."""
    rate_schedule: RateSchedule = "constant"
    """How the learning rate goes on: constant, or cosine, from the learning rate down to 0 at the last epoch (a longer training is then
    another one)."""

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < float("inf"):
            raise InputError(f"--learning-rate must be above 0, not {self.learning_rate}.")
        if not 0 <= self.momentum < 1:
            raise InputError(f"--momentum must be at least 0 and below 1, not {self.momentum}.")
        if self.batch_size < 1:
            raise InputError(f"--batch-size must be at least 1, not {self.batch_size}.")


NEEDED: dict[str, tuple[Recipe, ...]] = {
    **dict.fromkeys(("augment_factor", "augment_methods"), ("resolution", "all")),
    **dict.fromkeys(("augment_shift", "augment_rotation", "augment_seeing", "augment_noise"), ("all",)),
}
"""The recipes that a strength has an effect on."""


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """How training images change at random in every epoch. The strengths are traced: others cost no retrace."""

    augment: Recipe = "none"
    """What changes: nothing (none), one of the eight orientations (dihedral), the resolution, so that networks hold at coarser images
    (resolution), or these two and all that follows (all)."""
    augment_factor: int = 8
    """Coarsest resolution: images are shrunk to 1/k and enlarged again, each k from 1 to this as often as any other."""
    augment_methods: tuple[EnlargingMethod, ...] = ("nearest", "bilinear", "bicubic")
    """Interpolation methods that shrunk images are enlarged with, each as often as any other."""
    augment_shift: float = 1.0
    """Largest shift of "all", px."""
    augment_rotation: float = 0.0
    """Largest angle of "all", degrees."""
    augment_seeing: float = 0.0
    """Largest standard deviation of the blur of "all", px."""
    augment_noise: float = 0.0
    """Largest noise of "all", added to every pixel of shrunk images, in units of that of the training images' own pixels."""

    def __post_init__(self) -> None:
        if self.augment not in get_args(Recipe):
            raise InputError(f"There is no augmentation {self.augment!r}; choose from {', '.join(get_args(Recipe))}.")
        if not 1 <= self.augment_factor <= MOST_FACTOR:
            raise InputError(f"--augment-factor must lie in 1..{MOST_FACTOR}, not {self.augment_factor}.")
        if not self.augment_methods or len(set(self.augment_methods)) < len(self.augment_methods):
            raise InputError(f"--augment-methods takes one or more methods, each once, not {self.augment_methods}.")
        for name, most in {"shift": 1e3, "rotation": 180, "seeing": 1e3, "noise": 1e6}.items():
            if not 0 <= getattr(self, f"augment_{name}") <= most:
                raise InputError(f"--augment-{name} must lie in 0..{most:g}, not {getattr(self, f'augment_{name}')}.")
        for field in dataclasses.fields(self):
            needed = NEEDED.get(field.name, ())
            if getattr(self, field.name) != field.default and needed and self.augment not in needed:
                raise InputError(
                    f"--{field.name.replace('_', '-')} has no effect on --augment {self.augment} (but on {' and '.join(needed)}). Leave it out."
                )

    def in_words(self) -> str:
        """What changes, for reports: "one of the eight orientations; shifted by up to 1 px"; "none"."""
        if self.augment == "none":
            return "none"
        resolution = (
            f"shrunk by a factor of 1 to {self.augment_factor} and enlarged with {' or '.join(self.augment_methods)}"
        )
        words = {
            "one of the eight orientations": self.augment != "resolution",
            f"shifted by up to {self.augment_shift:g} px": self.augment == "all" and self.augment_shift,
            f"rotated by up to {self.augment_rotation:g} degrees": self.augment == "all" and self.augment_rotation,
            f"blurred by up to {self.augment_seeing:g} px": self.augment == "all" and self.augment_seeing,
            resolution: self.augment != "dihedral",
            f"with noise of up to {self.augment_noise:g} times their own added": self.augment == "all"
            and self.augment_noise,
        }
        return "; ".join(text for text, is_there in words.items() if is_there)


ROBUST_RECIPE = AugmentConfig("all")
ROBUST_OPTIMISER = OptimiserConfig(learning_rate=0.01, rate_schedule="cosine")
"""What networks are trained with that shall hold at coarser images: chosen on validation galaxies, as experiments/README.md says."""


@dataclasses.dataclass(frozen=True)
class ExecutionConfig:
    """How it is computed. Defaults depend on the device; environment.json records what was used."""

    lowering: LoweringName | None = None
    """How layers are computed: direct (one repeat at a time), patches (many), xla (the compiler's own). None: direct on
    a CPU, patches elsewhere."""
    repeats_at_once: int | None = None
    """Repeats that each device computes side by side, which bounds memory. None: 1 on a CPU, elsewhere as many as its
    memory holds."""
    delayed_steps: int = 8
    """Steps whose updates of the hidden dense kernels are made in one product; the same results up to rounding. 1: each
    at once, as always with momentum."""
    precision: Precision = "float32"
    """Precision of the operands of convolutions and dense layers: float32, tf32 (10 bits of mantissa) or bfloat16 (7
    bits). Sums, weights and their updates stay float32, and resampling always is. On a CPU tf32 is emulated, not
    faster."""

    def __post_init__(self) -> None:
        if self.repeats_at_once is not None and self.repeats_at_once < 1:
            raise InputError(f"--repeats-at-once must be at least 1, not {self.repeats_at_once}.")
        if not 1 <= self.delayed_steps <= MOST_DELAYED_STEPS:
            raise InputError(
                f"--delayed-steps must be at least 1 and at most {MOST_DELAYED_STEPS}, not {self.delayed_steps}."
            )


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """How long all repeats train and how often they are evaluated."""

    epochs: int = 900
    """Passes over the training galaxies."""
    evaluate_every: int = 10
    """Epochs from one evaluation of every condition to the next. The last epoch is always evaluated, and is the only one
    where this is more than --epochs."""
    checkpoint_seconds: Annotated[float, OUTPUT] = 120.0
    """Least time (s) between two checkpoints; more where they would take over 5 % of it. 0: after every evaluation."""
    on_divergence: OnDivergence = "stop"
    """What to do where the loss of a repeat becomes NaN or infinite: stop, with the last checkpoint kept, or drop that
    repeat from every result."""
    keep_ensemble: Annotated[int | Literal["all", "none"], OUTPUT] = 10
    """Trained networks of the run's main training to keep in the run folder, where galjax.load reads them: all, none, or
    those of so many repeats (23 MB a repeat at 64 px, and as much in memory and checkpoints where validation galaxies choose the
    epoch)."""
    all_predictions: Annotated[bool, OUTPUT] = False
    """Write what every repeat says of its test galaxies under all conditions, instead of Original and the coarsest usable."""
    discard_state: Annotated[bool, OUTPUT] = False
    """Delete the last checkpoint of a finished training, 23 MB for each repeat and training at 64 px. More --epochs then start from
    the beginning."""

    def __post_init__(self) -> None:
        if not 1 <= self.epochs <= MOST_EPOCHS:
            raise InputError(f"--epochs must be at least 1 and at most {MOST_EPOCHS}, not {self.epochs}.")
        if not 1 <= self.evaluate_every <= MOST_EPOCHS:
            raise InputError(f"--evaluate-every must lie in 1..{MOST_EPOCHS}, not {self.evaluate_every}.")
        if isinstance(self.keep_ensemble, int) and self.keep_ensemble < 1:
            raise InputError(f"--keep-ensemble is all, none, or a number of repeats from 1, not {self.keep_ensemble}.")
        if not self.checkpoint_seconds >= 0:
            raise InputError(f"--checkpoint-seconds must be at least 0, not {self.checkpoint_seconds}.")

    def kept_of(self, repeats: int) -> int:
        """The number of repeats whose trained networks are kept."""
        if self.keep_ensemble == "none":
            return 0
        return repeats if self.keep_ensemble == "all" else min(self.keep_ensemble, repeats)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """What decides a training, whatever the galaxies."""

    schedule: Annotated[ScheduleConfig, Flat] = dataclasses.field(default_factory=ScheduleConfig)
    optimiser: Annotated[OptimiserConfig, Flat, NETWORK] = dataclasses.field(default_factory=OptimiserConfig)
    network: Annotated[NetworkConfig, Flat, NETWORK] = dataclasses.field(default_factory=NetworkConfig)
    execution: Annotated[ExecutionConfig, Flat, EXECUTION] = dataclasses.field(default_factory=ExecutionConfig)
    augment: Annotated[AugmentConfig, Flat, NETWORK] = dataclasses.field(default_factory=AugmentConfig)
    convention: Convention = "opencv"
    """Resize rule: opencv (the pixels of cv2.resize) or jax (those of jax.image.resize)."""

    def __post_init__(self) -> None:
        if isinstance(self.optimiser.learning_rate, SuggestedRate):
            rate = SuggestedRate(LEARNING_RATES[self.network.network])
            object.__setattr__(self, "optimiser", dataclasses.replace(self.optimiser, learning_rate=rate))


@dataclasses.dataclass(frozen=True)
class ProcessesConfig:
    """Several machines as one. Start the same command on each; results do not depend on how many there are."""

    distributed: Annotated[Literal["off", "auto"], MACHINES] = "off"
    """auto: this is one of the processes that Slurm or MPI (mpirun, mpiexec) started. Elsewhere give the three flags
    below."""
    coordinator: Annotated[str | None, MACHINES] = None
    """host:port of the first process, which the others can reach."""
    process_id: Annotated[int | None, MACHINES] = None
    """Number of this process: 0 for the first, which writes the run folder, and so on."""
    process_count: Annotated[int | None, MACHINES] = None
    """Number of all processes."""

    def __post_init__(self) -> None:
        given = (self.coordinator, self.process_id, self.process_count)
        if given != (None, None, None) and None in given:
            raise InputError("--coordinator, --process-id and --process-count go together: give all three, or none.")
        if self.coordinator is None or self.process_id is None or self.process_count is None:
            return
        if self.distributed != "off":
            raise InputError("--distributed auto finds the processes by itself: leave out --coordinator, or this flag.")
        host, _, port = self.coordinator.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 2**16:
            raise InputError(f"--coordinator is host:port, like node1:12345, not {self.coordinator!r}.")
        if not 0 <= self.process_id < self.process_count:
            raise InputError(
                f"--process-id must lie in 0..{self.process_count - 1} (one less than --process-count), not {self.process_id}."
            )

    @property
    def are_several(self) -> bool:
        """Whether this process is to join others."""
        return self.distributed != "off" or self.coordinator is not None


@dataclasses.dataclass(frozen=True)
class UsableConfig:
    """When a degraded resolution counts as usable: as accurate as Original, and near 0.9 (thesis, section 5.2)."""

    usable_accuracy: float = 0.88
    """Mean accuracy that a usable resolution must reach, 0 to 1. 0 asks only for the comparison with Original."""
    usable_loss: float = 0.03
    """Accuracy, 0 to 1, that a resolution may at most lose against Original to count as as accurate. The paired one-sided
    t-test over repeats must show the mean loss to be smaller."""
    usable_significance: float = 0.05
    """Significance level of the t-test of --usable-loss, between 0 and 0.5."""

    def __post_init__(self) -> None:
        if not 0 <= self.usable_accuracy <= 1:
            raise InputError(f"--usable-accuracy must lie in 0..1, not {self.usable_accuracy}.")
        if not 0 < self.usable_loss <= 1:
            raise InputError(f"--usable-loss must be above 0 and at most 1, not {self.usable_loss}.")
        if not 0 < self.usable_significance < 0.5:
            raise InputError(f"--usable-significance must lie between 0 and 0.5, not {self.usable_significance}.")

    def rule(self) -> str:
        """The definition in words, for tables and captions."""
        near = f", with a mean accuracy of at least {self.usable_accuracy:g}" if self.usable_accuracy else ""
        return (
            f"As accurate as Original: a paired one-sided t-test over repeats (level {self.usable_significance:g}), for new galaxies of "
            f"the same kind, shows a mean loss below {self.usable_loss:g}. Usable: as accurate as Original{near}"
        )
