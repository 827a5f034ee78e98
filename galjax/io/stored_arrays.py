"""Arrays on disk by name, with a format version and checksums, so that what is read is what was written."""

import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp

from galjax.errors import InputError

FORMAT = 3
"""Version of how arrays are stored, kept beside them."""


class Corrupt(Exception):
    """What is stored is not what was written, or is not whole."""


def handlers(processes: ocp.options.MultiprocessingOptions) -> dict[str, ocp.CheckpointHandler]:
    """How orbax writes and reads the parts. What is given to it is not changed meanwhile, and not copied once more."""
    writer = ocp.type_handlers.NumpyHandler(deepcopy_host_arrays=False)
    registry = ocp.type_handlers.create_type_handler_registry((np.ndarray, writer))
    return {
        "arrays": ocp.PyTreeCheckpointHandler(type_handler_registry=registry, multiprocessing_options=processes),
        "description": ocp.JsonCheckpointHandler(multiprocessing_options=processes),
    }


def to_save(arrays: Mapping[str, np.ndarray]) -> ocp.args.CheckpointArgs:
    """What orbax is to write: the arrays, and beside them the format and checksums as JSON."""
    quiet()
    # A path would make folders of a name's parts on some file systems.
    items = {name.replace("/", "|"): array for name, array in arrays.items()}
    checksums = {name: _checksum(array) for name, array in arrays.items()}
    description = {"format": FORMAT, "checksums": checksums}
    return ocp.args.Composite(arrays=ocp.args.PyTreeSave(items), description=ocp.args.JsonSave(description))


def description_to_restore() -> ocp.args.CheckpointArgs:
    """What orbax is to read first, for `check_format`."""
    quiet()
    return ocp.args.Composite(description=ocp.args.JsonRestore())


def arrays_to_restore() -> ocp.args.CheckpointArgs:
    """What orbax is to read then, for `checked`."""
    return ocp.args.Composite(arrays=ocp.args.PyTreeRestore())


def open_manager(folder: Path, keep: int, *, several_processes: bool = False) -> ocp.CheckpointManager:
    """Orbax, in the first process alone, on a folder that is there; it writes in the background."""
    quiet()
    prefix, active = ("first", {0}) if several_processes else (None, None)
    alone = ocp.options.MultiprocessingOptions(primary_host=0, active_processes=active, barrier_sync_key_prefix=prefix)
    options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=False, multiprocessing_options=alone)
    return ocp.CheckpointManager(folder, options=options, item_handlers=handlers(alone))


def restored(manager: ocp.CheckpointManager, step: int, place: Path) -> dict[str, np.ndarray]:
    """The arrays of a step, once its format and checksums are known to be right."""
    description = manager.restore(step, args=description_to_restore()).description
    check_format(description, place)
    return checked(manager.restore(step, args=arrays_to_restore()).arrays, description)


def check_format(description: Mapping[str, Any], place: Path) -> None:
    """Raise InputError for a format that this version does not know, `Corrupt` where none is stated."""
    found = description.get("format") if isinstance(description, Mapping) else None
    if found is None:
        raise Corrupt("it states no format")
    if found != FORMAT:
        raise InputError(
            f"{place} is stored in format {found}; this version of galjax reads format {FORMAT}. Use the version that "
            f"wrote it (environment.json names it), or give another --out. Nothing was changed."
        )


def checked(items: Mapping[str, Any], description: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays by name; raises `Corrupt` where one is missing or differs from what was written."""
    arrays = {name.replace("|", "/"): np.asarray(array) for name, array in items.items()}
    checksums = description.get("checksums")
    if not isinstance(checksums, dict) or set(checksums) != set(arrays):
        raise Corrupt("arrays are missing")
    for name, array in arrays.items():
        if _checksum(array) != checksums[name]:
            raise Corrupt(f"the checksum of {name} does not match")
    return arrays


def is_full(error: BaseException) -> bool:
    """Whether an error of orbax or the system says that a file could not be written."""
    signs = ("os_error_code", "RESOURCE_EXHAUSTED", "No space left", "quota", "File too large", "PERMISSION_DENIED")
    return isinstance(error, OSError) or any(sign in str(error) for sign in signs)


def reason_of(error: BaseException) -> str:
    """The last part of a long error, which says what the system said."""
    text = " ".join(str(error).split())
    return text.rpartition(": ")[2] or type(error).__name__


def quiet() -> None:
    """Orbax logs what it does, and the tracebacks of errors that it then raises."""
    logging.getLogger("absl").setLevel(logging.CRITICAL)


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).data)
