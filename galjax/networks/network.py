"""What a network is to the rest of galjax, whatever its layers."""

import flax.linen as nn
from jaxtyping import Array, Float

from galjax.config.settings import NetworkConfig
from galjax.networks.layers import Operands
from galjax.networks.lowering import LoweringName


class Network(nn.Module):
    """A classifier of images in two parts: what works on images, and what works on the features of all galaxies at once.

    A network is a subclass with `features`, `classify`, `smallest_image` and `between_layers`, in the registry under its
    name. It keeps nothing but parameters (no statistics of batches), so that repeats train under `vmap`, and galaxies
    that fill up a batch change nothing. Its layers compute by `lowering` and multiply `operands`.
    """

    config: NetworkConfig
    num_classes: int
    lowering: LoweringName = "xla"
    operands: Operands = "float32"

    @property
    def hidden_layers(self) -> tuple[str, ...]:
        """Names of the dense layers (`DenseLayer`) whose updates may be delayed (`galjax.networks.delayed_updates`)."""
        return ()

    @property
    def smallest_image(self) -> int:
        """Least height and width, px, of images that it can classify."""
        raise NotImplementedError

    @property
    def between_layers(self) -> str:
        """In a sentence, what follows its layers and has no parameters: activations, pooling, dropout."""
        raise NotImplementedError

    def features(self, images: Float[Array, "batch height width band"]) -> Float[Array, "batch feature"]:
        """What is computed from each scaled image (`scale_images`), in small batches."""
        raise NotImplementedError

    def classify(self, features: Float[Array, "batch feature"], *, train: bool) -> Float[Array, "batch class"]:
        """Logits of features. With train=True an rng named "dropout" is needed."""
        raise NotImplementedError

    def __call__(self, images: Float[Array, "batch height width band"], *, train: bool) -> Float[Array, "batch class"]:
        """Logits of scaled images (`scale_images`). With train=True an rng named "dropout" is needed."""
        return self.classify(self.features(images), train=train)
