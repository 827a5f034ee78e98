"""Where the archives are. Every address is configuration: mirrors move, and a stand-in on this machine is one, too."""

import dataclasses
from urllib.parse import urlsplit

from galjax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Addresses:
    """Base addresses (https://host/path), to which the archives' own paths are added."""

    das_url: str = "https://das.sdss.org"
    """Address of the SDSS DR7 Data Archive Server: corrected frames below imaging/."""
    sas_url: str = "https://data.sdss.org/sas/dr17/eboss"
    """Address of the SDSS Science Archive Server: frames of DR8 and later below photoObj/frames/."""
    skyserver_url: str = "https://skyserver.sdss.org/dr17"
    """Address of a SkyServer of DR10 or later, for redshifts."""
    hsc_url: str = "https://hsc-release.mtk.nao.ac.jp/das_cutout/pdr3"
    """Address of the cut-out service of a Hyper Suprime-Cam public data release."""
    hips_url: tuple[str, ...] = (
        "https://alasky.cds.unistra.fr/hips-image-services/hips2fits",
        "https://alaskybis.cds.unistra.fr/hips-image-services/hips2fits",
    )
    """Addresses of hips2fits servers, tried in this order."""
    catalogue_url: tuple[str, ...] = (
        "https://galaxy-zoo-1.s3.amazonaws.com",
        "https://data.galaxyzoo.org/data/gz1",
    )
    """Addresses of folders that hold the Galaxy Zoo 1 tables, tried in this order."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            flag = f"--{field.name.replace('_', '-')}"
            for address in (value,) if isinstance(value, str) else value:
                parts = urlsplit(address)
                if parts.scheme not in ("http", "https") or not parts.hostname:
                    raise InputError(f"{flag} takes addresses such as https://host/path, not {address!r}.")
                if parts.username or parts.password:
                    raise InputError(
                        f"{flag} must not hold a name or password; the HSC login is read from the environment."
                    )
            if not value:
                raise InputError(f"{flag} takes one or more addresses.")
        hsc = urlsplit(self.hsc_url)
        if hsc.scheme != "https" and hsc.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise InputError(f"--hsc-url must be https, since a login is sent there, not {self.hsc_url}.")


def join(base: str, *path: str) -> str:
    """An address below a base."""
    return "/".join([base.rstrip("/"), *path])
