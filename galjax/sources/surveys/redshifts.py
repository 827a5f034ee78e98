"""Redshifts for galaxies that have none: from SkyServer, or from a table on this machine."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from galjax.errors import InputError
from galjax.io.table_files import FORMATS, read_catalogue
from galjax.sources.archives.download import Client, FetchFailed
from galjax.sources.archives.skyserver import (
    RULE,
    Page,
    Redshifts,
    Spectrum,
    fetch_page,
    match,
    pages,
)
from galjax.sources.build.journal import Journal
from galjax.sources.files.columns import (
    ID_NAMES,
    REDSHIFT_NAMES,
    find_column,
    find_redshift_column,
    read_ids,
    read_redshift,
)
from galjax.sources.surveys.galaxy_list import GalaxyList

SKYSERVER, NONE = "skyserver", "none"
_OPTIONAL = {"z_error": ("zerr", "z_err", "redshift_error"), "z_warning": ("zwarning", "z_warning")}


def redshifts_of(
    galaxies: GalaxyList, source: str, client: Client, base: str, journal: Journal, note: Callable[[str], None]
) -> tuple[Redshifts, dict[str, str]]:
    """The galaxies' redshifts from `source` ("skyserver", "none", or a table's path), and what the sample says of them.

    Galaxies without a match get NaN and are counted. Raises InputError where SkyServer does not answer or the table cannot
    be used.
    """
    if source == NONE:
        unknown = np.full(len(galaxies), np.nan)
        return Redshifts(unknown, unknown.copy(), 0), {"redshifts": "none"}
    if source == SKYSERVER:
        spectra, origin = (
            _from_skyserver(galaxies, client, base, journal, note),
            "SkyServer, zooSpec joined with SpecObjAll",
        )
    else:
        spectra, origin = read_spectra(Path(source)), f"table {Path(source).name}"
    found = match(galaxies.id, spectra)
    unmatched = int(np.isnan(found.redshift).sum())
    note(
        f"Redshifts: {len(galaxies) - unmatched} of {len(galaxies)} galaxies, {unmatched} unmatched (kept, NaN), "
        f"{found.repeated} with several spectra"
    )
    return found, {
        "redshifts": origin,
        "redshift rule": RULE,
        "redshifts unmatched": str(unmatched),
        "redshifts of several spectra": str(found.repeated),
    }


def _from_skyserver(
    galaxies: GalaxyList, client: Client, base: str, journal: Journal, note: Callable[[str], None]
) -> list[Spectrum]:
    def asked(page: Page) -> bool:
        return journal.has_page(page.key)

    todo = [page for page in pages(galaxies.ra) if not asked(page)]
    for number, page in enumerate(todo):
        if number % 10 == 0:
            note(f"Asking SkyServer for redshifts: page {number + 1} of {len(todo)}")
        try:
            spectra = [spectrum for _, part in fetch_page(client, base, page) for spectrum in part]
        except FetchFailed as failure:
            raise InputError(
                f"SkyServer ({base}) does not give redshifts: {failure.reason}, after {failure.attempts} tries. What was done so "
                f"far is kept: run the same command again later, or give --redshifts none or a table."
            ) from None
        wanted = set(galaxies.id.tolist())
        journal.record_page(page.key, [spectrum for spectrum in spectra if spectrum.dr7objid in wanted])
    return journal.spectra()


def read_spectra(path: Path) -> list[Spectrum]:
    """Redshifts by DR7 object id from a table (csv, ecsv, fits, vot) with columns dr7objid or objid, and redshift or z.

    Columns zerr, zwarning and class are used to choose between several spectra of one galaxy, where they are there.
    Raises InputError where the table cannot be read or lacks a column.
    """
    if path.suffix.lstrip(".").lower() not in FORMATS or not path.is_file():
        raise InputError(
            f"--redshifts takes {SKYSERVER}, {NONE}, or an existing table ({', '.join(FORMATS)}), not {path}."
        )
    table = read_catalogue(path)
    id_column = find_column(table, None, ("dr7objid", *ID_NAMES), "id", "", path.name)
    z_column, magnitude = find_redshift_column(table, None, "", path.name)
    if id_column is None or z_column is None:
        missing = "id" if id_column is None else "redshift"
        names: tuple[str, ...] = ("dr7objid", *ID_NAMES) if id_column is None else REDSHIFT_NAMES
        raise InputError(
            f"{path.name} has no {missing} column ({', '.join(names)}); it has {', '.join(table.colnames)}. {magnitude}".strip()
        )
    ids, present = read_ids(table, id_column, path.name)
    if ids.dtype.kind != "i":
        raise InputError(f"The ids of {path.name} are not whole numbers; SDSS DR7 object ids are needed.")
    redshift, _ = read_redshift(table, z_column, path.name)
    further = {}
    for key, names in _OPTIONAL.items():
        column = find_column(table, None, names, key, "", path.name)
        further[key] = read_redshift(table, column, path.name)[0] if column else np.zeros(len(table))
    kind_column = find_column(table, None, ("class",), "class", "", path.name)
    kinds = [str(kind).strip() for kind in table[kind_column]] if kind_column else ["GALAXY"] * len(table)
    use = np.flatnonzero(present & np.isfinite(redshift))
    return [
        Spectrum(
            int(ids[row]),
            int(row),
            float(redshift[row]),
            float(np.nan_to_num(further["z_error"][row])),
            int(np.nan_to_num(further["z_warning"][row])),
            kinds[row],
        )
        for row in use
    ]
