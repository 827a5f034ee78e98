import pytest

from galjax.report import html


@pytest.fixture(autouse=True, scope="session")
def coarse_figures():
    """Figures as users get them, but for their resolution: they take longer to draw than tiny networks to train."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "PRINT_DPI", 40)
        yield
