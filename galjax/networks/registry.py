"""Every network there is, by the name that `--network` gives it."""

from galjax.config.settings import NO_EFFECT, NetworkConfig, NetworkName
from galjax.errors import InputError
from galjax.networks.layers import Operands
from galjax.networks.lowering import LoweringName
from galjax.networks.network import Network
from galjax.networks.residual import ResidualNetwork
from galjax.networks.thesis import ThesisNetwork

NETWORKS: dict[NetworkName, type[Network]] = {"thesis": ThesisNetwork, "residual": ResidualNetwork}


def make_network(
    config: NetworkConfig, num_classes: int, lowering: LoweringName = "xla", operands: Operands = "float32"
) -> Network:
    """The network that the configuration names."""
    return NETWORKS[config.network](config, num_classes, lowering, operands)


def check_image_shape(config: NetworkConfig, height: int, width: int) -> None:
    """Raise InputError where images of this size (px) are smaller than the network can classify."""
    smallest = make_network(config, num_classes=1).smallest_image
    if min(height, width) < smallest:
        pads = config.padding == "same" or "padding" in NO_EFFECT[config.network]
        unpadded = "" if pads else f" with {config.padding!r} padding"
        raise InputError(
            f"Images of {height}x{width} px are too small for the network {config.network!r}{unpadded}: use images of at "
            f"least {smallest} px."
        )
