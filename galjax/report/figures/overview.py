"""What was trained on what: redshifts, galaxies of every class, and the network."""

from galjax.config.settings import NetworkConfig
from galjax.report.figures.galleries import class_gallery
from galjax.report.figures.network import network_figure
from galjax.report.figures.redshift import redshift_histogram
from galjax.report.figures.style import NamedFigure
from galjax.sample import GalaxySample


def overview_figures(pool: GalaxySample, network: NetworkConfig, num_classes: int) -> tuple[NamedFigure, ...]:
    """As many of the three as the pool has something to show for."""
    height, width = pool.images.shape[1:3]
    bands = pool.images.shape[3] if pool.images.ndim == 4 else 1
    histogram = redshift_histogram(pool)
    return (
        *([histogram] if histogram else []),
        *(class_gallery(pool, name) for name, count in pool.class_counts().items() if count),
        network_figure(network, num_classes, (height, width, bands)),
    )
