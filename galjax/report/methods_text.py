"""A paragraph "Methods" that a paper can take over, made of a run's configuration, and what to cite."""

from collections.abc import Mapping

from galjax import __version__
from galjax.config.settings import TrainingConfig
from galjax.networks.counting import parameter_shapes
from galjax.networks.registry import make_network

BIBTEX = """@software{galjax,
  title = {galjax: how different may the training and test resolutions be?},
  author = {{The galjax developers}},
  version = {VERSION},
}
@inproceedings{jax2018, title = {Compiling machine learning programs via high-level tracing},
  author = {Frostig, Roy and Johnson, Matthew James and Leary, Chris}, booktitle = {SysML}, year = {2018}}
@software{flax2020, title = {{Flax}: A neural network library and ecosystem for {JAX}}, author = {Heek, Jonathan and others},
  year = {2020}}
@article{nadeau2003, title = {Inference for the Generalization Error}, author = {Nadeau, Claude and Bengio, Yoshua},
  journal = {Machine Learning}, volume = {52}, pages = {239--281}, year = {2003}}"""


def methods_paragraph(
    training: TrainingConfig, about: Mapping[str, str], image_shape: tuple[int, int, int], classes: int
) -> str:
    """The paragraph. `about` are phrases that the experiment knows: galaxies, repeats, tested."""
    network, optimiser, schedule = training.network, training.optimiser, training.schedule
    sizes = parameter_shapes(make_network(network, classes, "xla"), image_shape)
    count = sum(_size(leaf) for leaf in _leaves(sizes))
    height, width, bands = image_shape
    momentum = f" and momentum {optimiser.momentum:g}" if optimiser.momentum else ""
    dense = (
        f", followed by dense layers of {' and '.join(map(str, network.dense_units))} units with dropout {network.dropout:g}"
        if network.network == "thesis"
        else ", as standardised residual blocks with global pooling"
    )
    falls = ", falling to 0 along half a cosine," if optimiser.rate_schedule == "cosine" else ""
    changes = training.augment.in_words()
    changed = "" if changes == "none" else f" Training images changed anew in every epoch: {changes}."
    return (
        f"{about['galaxies']} Images of {height} x {width} px in {bands} band{'s' if bands > 1 else ''} were scaled by {SCALINGS[network.input_scaling]}. "
        f"We trained convolutional networks ({network.network}; {', '.join(map(str, network.filters))} filters{dense}; {network.initialisation} "
        f"initialisation; {count:,} parameters) for {schedule.epochs} epochs by stochastic gradient descent with learning rate "
        f"{optimiser.learning_rate:g}{falls}{momentum} and batches of {optimiser.batch_size}, in {training.execution.precision}.{changed} {about['repeats']} "
        f"{about['tested']} All was computed with galjax {__version__} (JAX, Flax)."
    )


def bibtex() -> str:
    """Entries for galjax and what it stands on."""
    return BIBTEX.replace("VERSION", __version__)


SCALINGS = {
    "sky": "arcsinh((pixel - level) / noise) / 2 with the level and the noise of the sky at the borders of the training images",
    "asinh": "the arcsinh of pixels standardised in each image",
    "standard": "standardising the pixels of each image",
    "minmax": "mapping the pixels of each image to 0..1",
    "none": "nothing",
    "auto": "the default of the program",
}


def _leaves(tree: object) -> list[object]:
    import jax

    return list(jax.tree.leaves(tree))


def _size(leaf: object) -> int:
    return int(getattr(leaf, "size", 0))
