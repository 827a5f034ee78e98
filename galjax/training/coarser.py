"""Test images as surveys of coarser seeing and pixels would have recorded them: blurred, sampled, with the noise of such a survey.

The steps are those of Barden, Jahnke & Häußler (2008, ApJS 175, 105) without the changes by redshift. At factor k the seeing and
the pixels are k times as large, and sky brightness, exposure and aperture are the same. Then the sky's photons per unit of sky area
are the same, and where they make the noise (the sky's term of the CCD equation: Merline & Howell 1995, Experimental Astronomy 6,
163), a pixel of k x k pixels, as their mean, has 1/k of the noise of one. Blurring leaves less than that of noise that is
independent between pixels; what is missing is added. The photon noise of the galaxies themselves is blurred with them, and not
made up for. Beyond a stamp's edge its mirror image stands for the sky that is not known, so that the light which a wider seeing
would carry out of the stamp stays in it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from galjax.resample import Convention, width_between
from galjax.sample import GalaxySample, bands_last
from galjax.training.conditions import Condition, MatrixPair
from galjax.training.sky import level_and_noise


class Recorded(NamedTuple):
    """What the images of a survey are made with."""

    shape: tuple[int, int]
    """Height and width, px."""
    seeing: float
    """Full width at half maximum, px."""
    noise: tuple[float, ...]
    """Standard deviation of the sky per pixel, by band, in units of the pixels."""


def recorded(sample: GalaxySample, seeing: float) -> Recorded:
    """How the images of a sample with a known pixel scale were made, `seeing` in arcsec.

    The noise is that of the frames of all stamps (`galjax.training.sky`): 0 where these have none.
    """
    images = bands_last(sample.images)
    noise = tuple(np.asarray(level_and_noise(images).unit)[0].tolist())
    return Recorded((images.shape[1], images.shape[2]), seeing / sample.pixel_scale, noise)


def in_coarser_surveys(
    conditions: Sequence[Condition], survey: Recorded, convention: Convention
) -> tuple[Condition, ...]:
    """The same conditions with the blur and the noise of surveys that are coarser by their factors; Original as it is."""
    return tuple(
        _coarser(condition, survey, convention) if condition.factor > 1 else condition for condition in conditions
    )


def _coarser(condition: Condition, survey: Recorded, convention: Convention) -> Condition:
    blurred = condition._replace(blur=width_between(condition.factor * survey.seeing, survey.seeing))
    kept = variance_kept(blurred.shrinking(survey.shape, convention))
    wanted = np.prod(blurred.small(survey.shape)) / np.prod(survey.shape)
    missing = float(max(wanted - kept, 0.0) ** 0.5)
    return blurred._replace(noise=tuple(missing * noise for noise in survey.noise))


def variance_kept(matrices: MatrixPair) -> float:
    """The variance of pixels that are sums, by these weights, of independent ones of variance 1; the mean over the pixels."""
    rows, columns = (float((matrix**2).sum(axis=1).mean()) for matrix in matrices)
    return rows * columns
