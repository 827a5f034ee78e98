"""Arrays of all repeats on the devices of all processes, and back to the host.

Rows (repeats) are spread over the mesh; between processes they travel one block at a time, so that no device and no machine but
the first ever holds all repeats. Every process must call these functions in the same order.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from galjax.training import processes

BLOCK_BYTES = 2**28
"""What travels between processes at once."""


def place(leaf: Any, sharding: NamedSharding) -> jax.Array:
    """An array that every process has whole, on the devices: each process places what belongs on its own."""
    if processes.count() == 1:
        return jax.device_put(leaf, sharding)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = place(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    host = np.asarray(leaf)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def gather(leaf: jax.Array) -> np.ndarray:
    """A spread array, whole, in every process: for what is small."""
    if processes.count() == 1:
        return np.asarray(leaf)
    from jax.experimental import multihost_utils

    processes.barrier()
    return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))


def gather_on_first(leaf: jax.Array, count: int | None = None) -> np.ndarray | None:
    """A spread array, whole or its first `count` rows, as a copy in the first process; None in the others."""
    here = {shard.device: shard.data for shard in leaf.addressable_shards}
    wanted = leaf.shape[0] if count is None else min(count, leaf.shape[0])
    whole = np.empty((wanted, *leaf.shape[1:]), leaf.dtype) if processes.is_first() else None
    for device, there in _rows_by_device(leaf.sharding, leaf.shape):
        rows = slice(there.start, min(there.stop, wanted))
        if rows.start >= rows.stop:
            continue
        ours = device in here
        if device.process_index == 0:
            if whole is not None:
                whole[rows] = np.asarray(here[device])[: rows.stop - rows.start]
            continue
        for block in _blocks(rows, leaf.shape, leaf.dtype):
            within = slice(block.start - rows.start, block.stop - rows.start)
            data = np.asarray(here[device][within]) if ours else _nothing(block, leaf.shape, leaf.dtype)
            data = _from_process(data, ours)
            if whole is not None:
                whole[block] = data
    return whole


def scatter_from_first(
    rows_of: Callable[[slice], np.ndarray], shape: tuple[int, ...], dtype: Any, sharding: NamedSharding
) -> jax.Array:
    """The opposite of `gather_on_first`: `rows_of` gives rows of the whole array, and is asked in the first process alone."""
    if processes.count() == 1:
        return jax.device_put(rows_of(slice(0, shape[0])), sharding)
    placed = []
    for device, rows in _rows_by_device(sharding, shape):
        blocks = []
        for block in _blocks(rows, shape, dtype):
            data = rows_of(block) if processes.is_first() else _nothing(block, shape, dtype)
            if device.process_index != 0:
                data = _from_process(data, processes.is_first())
            blocks.append(data)
        if device.process_index == jax.process_index():
            placed.append(jax.device_put(np.concatenate(blocks), device))
    return jax.make_array_from_single_device_arrays(shape, sharding, placed)


def _rows_by_device(sharding: Any, shape: tuple[int, ...]) -> list[tuple[Any, slice]]:
    found = []
    for device, index in sharding.devices_indices_map(shape).items():
        first, stop, _ = index[0].indices(shape[0])
        found.append((device, slice(first, stop)))
    return found


def _blocks(rows: slice, shape: tuple[int, ...], dtype: Any) -> list[slice]:
    """The rows in pieces of at most `BLOCK_BYTES`, or of one row where that is more."""
    row_bytes = max(1, int(np.prod(shape[1:])) * np.dtype(dtype).itemsize)
    step = max(1, BLOCK_BYTES // row_bytes)
    return [slice(start, min(start + step, rows.stop)) for start in range(rows.start, rows.stop, step)]


def _nothing(rows: slice, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    return np.zeros((rows.stop - rows.start, *shape[1:]), dtype)


def _from_process(data: np.ndarray, is_source: bool) -> np.ndarray:
    from jax.experimental import multihost_utils

    processes.barrier()
    return np.asarray(multihost_utils.broadcast_one_to_all(data, is_source=is_source))
