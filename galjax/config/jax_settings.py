"""What a user's environment may tell JAX: what decides results is pinned or kept beside them, what cannot run is refused."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import jax

from galjax.errors import InputError

PRNG = "threefry2x32"
"""The generator of all random numbers here, whatever JAX's default is: for `jax.random.key(seed, impl=PRNG)`."""

PINNED: dict[str, Any] = {
    "jax_default_prng_impl": PRNG,
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_high_dynamic_range_gumbel": False,
    "jax_enable_x64": False,
    "jax_default_matmul_precision": None,
    "jax_default_device": None,
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_debug_nans": False,
    "jax_debug_infs": False,
}
"""JAX's own defaults of what decides results, or stops trainings that continue without a repeat. All commands work with these."""

DRAWING = (
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_random_seed_offset",
    "jax_high_dynamic_range_gumbel",
    "jax_enable_x64",
)
"""Those settings that decide which random numbers are drawn: runs under different ones are different runs."""


def pin(note: Callable[[str], None]) -> None:
    """Set what decides results to `PINNED`. `note` is told, in a sentence, which settings of the user this sets aside."""
    changed = []
    for name, value in PINNED.items():
        if name in jax.config.values and _value(name) != value:
            changed.append(f"{name.upper()}={_value(name)}")
            jax.config.update(name, value)
    if changed:
        note(f"Ignored, because it would change results or stop the run: {', '.join(changed)}.")


def check_backend() -> None:
    """Raise InputError where JAX cannot start the devices that the environment asks for."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        asked = next((f"{name}={os.environ[name]}" for name in PLATFORMS if os.environ.get(name)), "")
        reason = " ".join(str(error).split())[:300] or "no such device"
        told = f"What {asked} asks for" if asked else "The device that JAX chooses"
        raise InputError(
            f"{told} cannot be started here ({reason}). Set JAX_PLATFORMS=cpu to compute on the CPU; an NVIDIA GPU needs its "
            f"driver and galjax[cuda]."
        ) from error


PLATFORMS = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME")


def describe() -> dict[str, Any]:
    """What decides results beside the configuration: JAX's settings, versions and device."""
    device = jax.devices()[0]
    return {
        **{name: _value(name) for name in PINNED if name in jax.config.values},
        "jax": jax.__version__,
        "jaxlib": jax.lib.__version__,
        "device": f"{device.platform} ({device.device_kind})",
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], place: str) -> list[str]:
    """What differs from the settings under which a run was begun, in sentences to be noted.

    Raises InputError where it is a setting by which other random numbers are drawn: then it is not the same run. Another
    version, device or compiler flag is noted only: it changes results within rounding, which training amplifies.
    """
    differing = {name: (before[name], now.get(name)) for name in before if before[name] != now.get(name)}
    words = {name: f"{name} was {old!r}, now {new!r}" for name, (old, new) in differing.items()}
    drawing = [words[name] for name in differing if name in DRAWING]
    if drawing:
        raise InputError(
            f"{place} holds a run with other random numbers: {'; '.join(drawing)}. Set them as they were, or give another --out."
        )
    if not words:
        return []
    return [f"Started under other settings, so the results are not bit for bit the same: {'; '.join(words.values())}."]


def _value(name: str) -> Any:
    value = jax.config.values[name]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
