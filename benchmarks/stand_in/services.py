"""What the stand-in answers to each path."""

import base64
import email
import email.policy
import functools
import io
import re
import tarfile
import threading

import numpy as np
from astropy.io import fits

from benchmarks.stand_in.faults import HTML, Fault
from benchmarks.stand_in.server import Faults, answer_file

USER, PASSWORD = "galaxy-zoo", "cor;rect horse/battery"
HSC_SCALE = 0.168


class Archives:
    """All archives of a universe. `folder` keeps frames that were made; else they are made when they are asked for."""

    def __init__(self, universe, folder=None, service_faults=None):
        self.universe, self.folder = universe, folder
        self.faults = Faults({f"/{path}": fault for path, fault in universe.faults.items()} | (service_faults or {}))
        self._by_path = {f"/{universe.das_path(n)}": ("das", n) for n in range(len(universe.fields))}
        self._by_path |= {f"/{universe.sas_path(n)}": ("sas", n) for n in range(len(universe.fields))}
        self._lock = threading.Lock()
        self.queries, self.lists = [], []
        self.footprint = lambda ra, dec: True

    def answer(self, handler, path):
        fault = self.faults.of(path)
        if path in self._by_path:
            return self._frame(handler, path, fault)
        for start, service in {
            "/gz1": self._table,
            "/skyserver": self._skyserver,
            "/hsc": self._hsc,
            "/hips": self._hips,
        }.items():
            if path.startswith(start):
                return service(handler, path, fault)
        return handler.send(404, HTML, "text/html"), True, ""

    def frame(self, path):
        """The file at a path, made once."""
        kept = self.folder / path.strip("/").replace("/", "_") if self.folder else None
        if kept is not None and kept.exists():
            return kept.read_bytes()
        with self._lock:
            content = self.universe.file(path.strip("/"))
            if kept is not None:
                kept.write_bytes(content)
                del self.universe.made[path.strip("/")]
            return content

    def _frame(self, handler, path, fault):
        archive, number = self._by_path[path]
        if archive == "sas" and number in self.universe.missing_in_sas:
            return handler.send(404, HTML, "text/html"), True, "missing"
        other = (number + 1) % len(self.universe.fields)
        other_path = self.universe.das_path(other) if archive == "das" else self.universe.sas_path(other)
        return answer_file(handler, fault, self.frame(path), lambda: self.frame(f"/{other_path}"))

    def _table(self, handler, path, fault):
        if not path.endswith(".csv.gz"):
            return handler.send(404, HTML, "text/html"), True, ""
        return answer_file(handler, fault, self.universe.catalogue())

    def _skyserver(self, handler, path, fault):
        sql = handler.query.get("cmd", "")
        self.queries.append(sql)
        found = re.search(r"SELECT TOP (\d+) .* z\.ra >= (\S+) AND z\.ra < (\S+)", sql)
        if found is None or "zooSpec" not in sql or handler.query.get("format") != "csv":
            return handler.send(200, HTML, "text/html"), True, "bad query"
        most, low, high = int(found.group(1)), float(found.group(2)), float(found.group(3))
        ra = {galaxy.id: float(np.float32(galaxy.ra)) for galaxy in self.universe.galaxies}
        rows = [row for row in self.universe.spectra if low <= ra[row[0]] < high][:most]
        lines = ["#Table1", "dr7objid,specobjid,z,zerr,zwarning,class", *(",".join(map(str, row)) for row in rows)]
        return answer_file(handler, fault, ("\n".join(lines) + "\n").encode())

    def _hsc(self, handler, path, fault):
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if handler.headers.get("Authorization") != wanted:
            refused = {"WWW-Authenticate": 'Basic realm="HSC"'}
            return handler.send(401, HTML, "text/html", refused), True, ""
        form = email.message_from_bytes(
            b"Content-Type: " + handler.headers["Content-Type"].encode() + b"\r\n\r\n" + handler.body,
            policy=email.policy.HTTP,
        )
        (part,) = (p for p in form.iter_parts() if p.get_param("name", header="content-disposition") == "list")
        text = part.get_payload(decode=True).decode()
        self.lists.append(text)
        return answer_file(handler, fault, self._tar(text.splitlines()))

    def _tar(self, lines):
        names = lines[0].removeprefix("#? ").split()
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            # Members that would be written elsewhere, were their names believed.
            for evil in ("../../escaped.fits", "/escaped.fits"):
                _add(archive, evil, b"not for you")
            link = tarfile.TarInfo("arch-1/2-cutout-HSC-R-1-link.fits")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
            for number, line in enumerate(lines[1:], start=2):
                cells = dict(zip(names, line.split(), strict=True))
                ra, dec, half = (float(cells[name]) for name in ("ra", "dec", "sw"))
                if not self.footprint(ra, dec):
                    continue
                side = 2 * round(half * 3600 / HSC_SCALE)
                content = _image((ra, dec), side, HSC_SCALE, offset=0.37, in_first=False)
                _add(archive, f"arch-260101-000000/{number}-cutout-HSC-R-9813-{cells['rerun']}.fits", content)
        return out.getvalue()

    def _hips(self, handler, path, fault):
        ra, dec, fov = (float(handler.query[name]) for name in ("ra", "dec", "fov"))
        side = int(handler.query["width"])
        scale = fov * 3600 / side
        content = _image((ra, dec), side, scale, offset=0.0, in_first=True, blank=not self.footprint(ra, dec))
        return answer_file(handler, fault, content)


def _add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


@functools.lru_cache(maxsize=4)
def _noise(side):
    return np.random.default_rng(side).normal(0, 1, (side, side))


def _image(centre, side, scale, *, offset, in_first, blank=False):
    """An image on its own grid with a star at its centre (ra, dec); north up, east left."""
    middle = (side - 1) / 2
    y, x = middle + offset, middle - offset
    grid = np.arange(side)
    image = _noise(side) + 300 * np.exp(-0.5 * (((grid[:, None] - y) ** 2 + (grid - x) ** 2) / 1.8**2))
    data = np.full_like(image, np.nan) if blank else image
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRPIX1"], header["CRPIX2"], header["CRVAL1"], header["CRVAL2"] = x + 1, y + 1, *centre
    header["CDELT1"], header["CDELT2"] = -scale / 3600, scale / 3600
    hdu = (fits.PrimaryHDU if in_first else fits.ImageHDU)(data.astype(np.float32), header)
    out = io.BytesIO()
    fits.HDUList([hdu] if in_first else [fits.PrimaryHDU(), hdu]).writeto(out)
    return out.getvalue()


def every_service_fault():
    """One or two of each fault before a service answers."""
    return {
        "/skyserver/en/tools/search/x_results.aspx": Fault("html", 1),
        "/gz1/GalaxyZoo1_DR_table2.csv.gz": Fault("missing"),
        "/gz1-mirror/GalaxyZoo1_DR_table2.csv.gz": Fault("truncated", 1),
    }


__all__ = ["PASSWORD", "USER", "Archives", "every_service_fault"]
