"""The network, drawn from its own parameters."""

from collections import Counter
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from galjax.config.settings import NetworkConfig
from galjax.networks.counting import images, parameter_shapes
from galjax.networks.network import Network
from galjax.networks.registry import make_network
from galjax.report.figures.style import COLOURS, NamedFigure, drawn, make_panels


class Layer(NamedTuple):
    """One layer, or block of layers, as the network has it."""

    name: str
    kernels: tuple[tuple[int, ...], ...]
    """Shapes."""
    output: tuple[int, ...]
    """Shape of what it makes of one image."""
    parameters: int


def layers_of(network: Network, image_shape: tuple[int, int, int]) -> list[Layer]:
    """The layers in the order in which they are called, with the shapes that they really have; nothing is computed."""
    called: dict[str, tuple[int, ...]] = {}

    def trace(parameters: Any, images: jax.Array) -> Any:
        def see(module: nn.Module, method: str) -> bool:
            if len(module.path) == 1 and method == "__call__":
                called.setdefault(module.path[0], ())
            return len(module.path) == 1

        return network.apply(
            {"params": parameters}, images, train=False, capture_intermediates=see, mutable=["intermediates"]
        )

    parameters = parameter_shapes(network, image_shape)
    _, seen = jax.eval_shape(trace, parameters, images(1, image_shape))
    return [
        Layer(
            name,
            tuple(leaf.shape for path, leaf in jax.tree.leaves_with_path(parameters[name]) if path[-1].key == "kernel"),
            seen["intermediates"][name]["__call__"][0].shape[1:],
            sum(leaf.size for leaf in jax.tree.leaves(parameters[name])),
        )
        for name in called
        if name in parameters
    ]


@drawn
def network_figure(config: NetworkConfig, num_classes: int, image_shape: tuple[int, int, int]) -> NamedFigure:
    """Layer, output shape and number of parameters (thesis, figures 4.5 and 5.4)."""
    network = make_network(config, num_classes)
    layers = layers_of(network, image_shape)
    figure, (panel,) = make_panels(1, width=9.0, height=2.9)
    total = sum(layer.parameters for layer in layers)
    boxes: list[tuple[str, str, tuple[int, ...], str]] = [("input", "", image_shape, "")]
    boxes += [(layer.name.replace("_", " "), _what(layer), layer.output, f"{layer.parameters:,}") for layer in layers]
    heights = [_height(shape, image_shape[0]) for _, _, shape, _ in boxes]
    for column, ((name, what, shape, count), height) in enumerate(zip(boxes, heights, strict=True)):
        _draw_box(panel, column, height, COLOURS[0] if len(shape) == 3 else COLOURS[1])
        panel.text(column, 1.12, name, ha="center", va="bottom", fontsize=9, weight="bold")
        panel.text(
            column, -1.12, f"{' x '.join(map(str, shape))}\n{what}\n{count}".rstrip(), ha="center", va="top", fontsize=8
        )
        if column:
            panel.annotate("", (column - 0.3, 0), (column - 0.7, 0), arrowprops={"arrowstyle": "->", "color": "0.4"})
    panel.set(xlim=(-0.6, len(boxes) - 0.4), ylim=(-2.3, 1.5))
    panel.set_axis_off()
    largest = max(layers, key=lambda layer: layer.parameters)
    return NamedFigure(
        "network",
        figure,
        f"The network for images of {image_shape[0]} x {image_shape[1]} px: below each layer the shape of its output, what it "
        f"is, and its number of parameters, {total:,} in all, {largest.parameters / total:.0%} of them in "
        f"{largest.name.replace('_', ' ')}. {network.between_layers}",
        "; ".join(f"{layer.name} gives {layer.output} with {layer.parameters} parameters" for layer in layers) + ".",
    )


def _what(layer: Layer) -> str:
    kinds = [f"convolution {shape[0]}x{shape[1]}" if len(shape) == 4 else "dense" for shape in layer.kernels]
    return "\n".join(f"{number} x {kind}" if number > 1 else kind for kind, number in Counter(kinds).items())


def _height(shape: tuple[int, ...], image_height: int) -> float:
    """Half the height of a box: images by their side, dense layers by the logarithm of their width."""
    share = shape[0] / image_height if len(shape) == 3 else float(np.log2(shape[0] + 1)) / 14
    return float(np.clip(share, 0.12, 1.0))


def _draw_box(panel: Axes, column: int, height: float, colour: str) -> None:
    panel.add_patch(
        Rectangle((column - 0.22, -height), 0.44, 2 * height, facecolor=colour, alpha=0.35, edgecolor=colour)
    )
