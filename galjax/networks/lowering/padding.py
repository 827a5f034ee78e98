"""Zeros around an image before a convolution: how many on each side."""

from galjax.config.settings import Padding


def pixels_around(padding: Padding, kernel_size: int) -> tuple[int, int]:
    """Pixels before and after each axis for a stride-1 convolution with a square kernel.

    "same" keeps height and width; where the kernel is even the extra row and column are at the end, as in
    `lax.conv_general_dilated`, Flax and Keras. "valid" adds none.
    """
    if padding == "valid":
        return 0, 0
    before = (kernel_size - 1) // 2
    return before, kernel_size - 1 - before
