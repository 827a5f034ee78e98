"""The stand-in sky: fields, galaxies at known pixels, their catalogue and spectra, and the truth about each of them."""

import dataclasses
import gzip
from typing import NamedTuple

import numpy as np

from benchmarks.stand_in import frames
from benchmarks.stand_in.faults import ALWAYS, LASTING, PASSING, Fault
from benchmarks.stand_in.frames import Field, Light
from galjax.sources.surveys import objid

HEADER = (
    "OBJID,RA,DEC,NVOTE,P_EL,P_CW,P_ACW,P_EDGE,P_DK,P_MG,P_CS,P_EL_DEBIASED,P_CS_DEBIASED,SPIRAL,ELLIPTICAL,UNCERTAIN"
)
FLAGS = ("1,0,0", "0,1,0", "0,0,1")
SKIES = (130.0, 391.0)
HALF = 32


class Galaxy(NamedTuple):
    """A galaxy (or a star in its place) and where it truly is."""

    id: int
    field: int
    """Index of its field."""
    y: float
    x: float
    """Pixel of its centre in the field's frame."""
    ra: float
    dec: float
    """Positions as the catalogue writes them, degrees."""
    label: int
    is_star: bool
    off_edge: bool


@dataclasses.dataclass
class Universe:
    """Everything the stand-in archives know."""

    fields: list[Field]
    galaxies: list[Galaxy]
    lights: list[list[Light]]
    faults: dict[str, Fault]
    """Faults by path below an archive's base, with the archive's name in front."""
    missing_in_sas: set[int]
    bad_rows: list[tuple[str, str, str]]
    """(id, line of the catalogue, reason) of rows that are no galaxies."""
    spectra: list[tuple[int, int, float, float, int, str]]
    redshift: dict[int, float]
    """The right one, of every galaxy that has any."""
    made: dict[str, bytes] = dataclasses.field(default_factory=dict, repr=False)
    """Files by path, as far as they were needed."""

    def das_path(self, number):
        f = self.fields[number]
        return f"das/imaging/{f.run}/{f.rerun}/corr/{f.camcol}/fpC-{f.run:06d}-r{f.camcol}-{f.field:04d}.fit.gz"

    def sas_path(self, number):
        f = self.fields[number]
        return f"sas/photoObj/frames/301/{f.run}/{f.camcol}/frame-r-{f.run:06d}-{f.camcol}-{f.field:04d}.fits.bz2"

    def file(self, path):
        """A frame by its path; made once, under a lock of the caller's."""
        if path not in self.made:
            make, path_of = (
                (frames.corrected_frame, self.das_path)
                if path.startswith("das/")
                else (frames.sky_subtracted_frame, self.sas_path)
            )
            number = next(n for n in range(len(self.fields)) if path_of(n) == path)
            self.made[path] = make(self.fields[number], self.lights[number], seed=number % 2)
        return self.made[path]

    def make_frames(self, *, corrected=True):
        """Those that will be asked for, ahead: a client that is in a hurry does not wait until one is made."""
        for number in range(len(self.fields)):
            if corrected:
                self.file(self.das_path(number))
            fault = self.faults.get(self.das_path(number))
            if fault is not None and fault.times == ALWAYS and number not in self.missing_in_sas:
                self.file(self.sas_path(number))
        return self

    def catalogue(self):
        """Galaxy Zoo 1 Table 2 of this sky, gzipped; bad rows are spread over it."""
        lines = [catalogue_line(g) for g in self.galaxies]
        for number, (_, line, _) in enumerate(self.bad_rows):
            lines.insert(3 + 7 * number, line)
        return gzip.compress(("\n".join([HEADER, *lines]) + "\n").encode(), mtime=0)

    def rows(self):
        """Number of rows of the catalogue."""
        return len(self.galaxies) + len(self.bad_rows)

    def expected(self, archive="auto", attempts=5):
        """For every id: the archive it must come from, or what its reason must say."""
        truth = {identifier: reason for identifier, _, reason in self.bad_rows if identifier.isdigit()}
        for galaxy in self.galaxies:
            truth[str(galaxy.id)] = self._expected(galaxy, archive, attempts)
        return truth

    def _expected(self, galaxy, archive, attempts):
        fault = self.faults.get(self.das_path(galaxy.field))
        das_works = fault is None or fault.kind == "cached" or fault.times < attempts
        if archive in ("auto", "das") and das_works:
            return "off the frame's edge" if galaxy.off_edge else "das"
        if archive in ("auto", "sas") and galaxy.field not in self.missing_in_sas:
            return "off the frame's edge" if galaxy.off_edge else "sas"
        return LASTING[fault.kind] if fault else "HTTP 404"


def catalogue_line(galaxy, flags=None):
    return ",".join(
        [
            str(galaxy.id),
            sexagesimal(galaxy.ra / 15, 2),
            sexagesimal(galaxy.dec, 1, signed=True),
            "59,0.61,0.034,0.0,0.153,0.153,0.051,0.186,0.61,0.186",
            flags or FLAGS[galaxy.label],
        ]
    )


def sexagesimal(value, digits, signed=False):
    sign = "-" if value < 0 else "+" if signed else ""
    units = round(abs(value) * 3600 * 10**digits)
    seconds, fraction = divmod(units, 10**digits)
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:0{digits}d}"


class Shares(NamedTuple):
    """How much of a sky is not as it should be."""

    faulty: float = 0.25
    """Share of the fields that have a fault."""
    stars: float = 0.15
    """Share of the catalogue's galaxies that are stars."""


USUAL = Shares()


def make_universe(*, fields, galaxies, shape=frames.SHAPE, seed=0, shares=USUAL, light=None):
    """A sky with so many fields and galaxies.

    `light(index, label, generator)` gives (counts, y, x) of a galaxy and its centre in that image; without it galaxies are
    Gaussians. Every kind of fault is there, passing and lasting, where there are enough faulty fields.
    """
    rng = np.random.default_rng(seed)
    made = [
        Field(
            1000 + n // 40,
            40 + n % 5,
            1 + n % 6,
            11 + n % 40,
            (0.2 + 0.31 * n) % 360,
            float(rng.uniform(-12, 60)),
            SKIES[n % 2],
            declination_first=n % 3 == 0,
            sky_card=n % 2 == 0,
            shape=shape,
        )
        for n in range(fields)
    ]
    owner = np.sort(np.concatenate([np.arange(fields), rng.integers(0, fields, galaxies - fields)]))
    found, lights = [], [[] for _ in made]
    for index, number in enumerate(owner.tolist()):
        off_edge = bool(rng.random() < 0.03)
        is_star = bool(rng.random() < shares.stars)
        label = 2 if is_star else int(rng.choice(3, p=[0.42, 0.42, 0.16]))
        y, x = _free_place(rng, shape, lights[number], off_edge)
        image, at_y, at_x = _light(light, index, label, is_star, rng)
        lights[number].append(Light(y, x, image))
        ra, dec = frames.sky_position(made[number], y + at_y, x + at_x)
        f = made[number]
        parts = objid.ObjidParts(
            *(np.array([v]) for v in (1, f.rerun, f.run, f.camcol, 0, f.field, 20 + index % 60000))
        )
        identifier = int(objid.encode(parts)[0])
        found.append(Galaxy(identifier, number, y + at_y, x + at_x, float(ra), float(dec), label, is_star, off_edge))
    universe = Universe(made, found, lights, {}, set(), _bad_rows(found), *_spectra(found, rng))
    universe.faults, universe.missing_in_sas = _faults(universe, rng, shares.faulty)
    return universe


def _free_place(rng, shape, taken, off_edge):
    """The corner of a galaxy's image, clear of its neighbours so that each star is alone in its stamp."""
    for _ in range(1000):
        y, x = (int(rng.integers(2 * HALF, n - 4 * HALF)) for n in shape)
        if off_edge:
            y = int(rng.choice([-10, shape[0] - HALF - 10]))
        if all(max(abs(y - other.top), abs(x - other.left)) > 2.5 * HALF for other in taken):
            return y, x
    raise ValueError("too many galaxies for a field of this size")


def _light(light, index, label, is_star, rng):
    if light is not None and not is_star:
        return light(index, label, rng)
    dy, dx = rng.uniform(0, 1, 2)
    deviation = 1.4 if is_star else (4.0, 3.0, 2.0)[label]
    return frames.star(dy, dx, peak=3000.0 if is_star else 500.0, deviation=deviation, half=24), 24 + dy, 24 + dx


def _faults(universe, rng, share):
    """Faults for a share of the fields: all kinds in turn, passing ones and lasting ones; some of the latter in SAS, too."""
    plans = [Fault(kind, ALWAYS if kind == "cached" else 1 + n % 2) for n, kind in enumerate(PASSING)]
    plans += [Fault(kind) for kind in LASTING]
    numbers = rng.permutation(len(universe.fields))[: round(share * len(universe.fields))]
    faults, missing = {}, set()
    for turn, number in enumerate(numbers.tolist()):
        plan = plans[turn % len(plans)]
        faults[universe.das_path(number)] = plan
        if plan.times == ALWAYS and plan.kind != "cached" and turn // len(plans) % 2 == 0:
            missing.add(number)
    return faults, missing


def _bad_rows(galaxies):
    one, two, three, four = (g._replace(id=g.id + 7) for g in galaxies[:4])
    return [
        (str(one.id), catalogue_line(one, "1,1,0"), "2 class flags are set"),
        (str(two.id), catalogue_line(two, "0,0,0"), "no class flag is set"),
        ("5.87727e+17", catalogue_line(three).replace(str(three.id), "5.87727e+17"), "is not a whole number"),
        (str(four.id), catalogue_line(four).replace(":", "x"), "RA or DEC cannot be read"),
    ]


def _spectra(galaxies, rng):
    """Rows of zooSpec joined with SpecObjAll, and the right redshift of each galaxy: 4 % have none, 5 % have several."""
    rows, truth = [], {}
    for number, galaxy in enumerate(galaxies):
        if rng.random() < 0.04:
            continue
        z = round(float(rng.uniform(0.01, 0.19)), 6)
        truth[galaxy.id] = z
        rows.append((galaxy.id, 10**15 + number, z, 1e-4, 0, "GALAXY"))
        if rng.random() < 0.05:
            rows += [
                (galaxy.id, 10**14 + number, z + 0.3, 2e-4, 0, "GALAXY"),
                (galaxy.id, 10**13 + number, z + 0.5, 1e-6, 4, "GALAXY"),
                (galaxy.id, 10**12 + number, z + 0.7, 1e-6, 0, "STAR"),
                (galaxy.id, 10**11 + number, z + 0.9, -1.0, 0, "GALAXY"),
            ]
    return rows, truth
