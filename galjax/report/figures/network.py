"""The network, drawn from its own parameters."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from galjax.config.jax_settings import PRNG
from galjax.networks.thesis import GalaxyNetwork, NetworkConfig
from galjax.report.figures.style import COLOURS, NamedFigure, drawn, make_panels


class Layer(NamedTuple):
    """One layer as the network has it."""

    name: str
    kernel: tuple[int, ...]
    output: tuple[int, ...]
    """Shape of what it makes of one image."""
    parameters: int


def layers_of(config: NetworkConfig, num_classes: int, image_shape: tuple[int, int, int]) -> list[Layer]:
    """The layers in order, with the shapes that the network's parameters and outputs really have; nothing is computed."""
    network = GalaxyNetwork(config, num_classes)

    def trace(images: jax.Array) -> tuple[Any, Any]:
        variables = network.init(jax.random.key(0, impl=PRNG), images, train=False)
        _, seen = network.apply(variables, images, train=False, capture_intermediates=True, mutable=["intermediates"])
        return variables["params"], seen["intermediates"]

    parameters, seen = jax.eval_shape(trace, jax.ShapeDtypeStruct((1, *image_shape), jnp.float32))
    names = [*(f"conv_{n}" for n in range(1, len(config.filters) + 1)), *network.hidden_layers, "output"]
    return [
        Layer(
            name,
            parameters[name]["kernel"].shape,
            seen[name]["__call__"][0].shape[1:],
            sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(parameters[name])),
        )
        for name in names
    ]


@drawn
def network_figure(config: NetworkConfig, num_classes: int, image_shape: tuple[int, int, int]) -> NamedFigure:
    """Layer, output shape and number of parameters (thesis, figures 4.5 and 5.4)."""
    layers = layers_of(config, num_classes, image_shape)
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
        f"{largest.name.replace('_', ' ')}. Every convolution is followed by ReLU and 2x2 max-pooling, every hidden dense "
        f"layer by ReLU and dropout of {config.dropout:g}.",
        "; ".join(f"{layer.name} gives {layer.output} with {layer.parameters} parameters" for layer in layers) + ".",
    )


def _what(layer: Layer) -> str:
    return f"convolution {layer.kernel[0]}x{layer.kernel[1]}" if len(layer.kernel) == 4 else "dense"


def _height(shape: tuple[int, ...], image_height: int) -> float:
    """Half the height of a box: images by their side, dense layers by the logarithm of their width."""
    share = shape[0] / image_height if len(shape) == 3 else float(np.log2(shape[0] + 1)) / 14
    return float(np.clip(share, 0.12, 1.0))


def _draw_box(panel: Axes, column: int, height: float, colour: str) -> None:
    panel.add_patch(
        Rectangle((column - 0.22, -height), 0.44, 2 * height, facecolor=colour, alpha=0.35, edgecolor=colour)
    )
