"""Every test runs in strict dtype and rank promotion, on several host devices, with warnings as errors (pyproject.toml)."""

import atexit
import os
import shutil
import signal
import tempfile

from jaxlib.version import __version_info__ as jaxlib_version

os.environ["JAX_PLATFORMS"] = "cpu"
# Compiling, not computing, is what the tests wait for: the compiler's cheap passes do.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=4",
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        # Fusion emitters take some 40 % of the compiler's time. A flag that it does not know would end the program.
        *(["--xla_cpu_use_fusion_emitters=false"] if jaxlib_version < (0, 11) else []),
    ]
)
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if not IS_WORKER:  # Workers share that of the process that started them.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="galjax-tests-")
os.environ.setdefault("MPLBACKEND", "agg")

# A shell starts what runs in the background with interrupts ignored, and programs inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import jax  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
# Many tests compile the same small programs: each once in a session.
if not IS_WORKER:
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

import contextlib  # noqa: E402
import functools  # noqa: E402

import pytest  # noqa: E402

from galjax.report import html  # noqa: E402


@pytest.fixture(autouse=True, scope="session")
def figures_drawn():
    """A context in which figures are drawn, coarsely. Elsewhere their files hold their names: most tests ask nothing more of
    them, and drawing takes longer than tiny networks to train."""
    drawn = html._render

    @functools.wraps(drawn)
    def named_only(named):
        return named, {ending: f"{named.name} as {ending}".encode() for ending in ("png", "pdf")}

    @contextlib.contextmanager
    def drawing():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(html, "_render", drawn)
            patch.setattr(html, "PRINT_DPI", 40)
            yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "_render", named_only)
        yield drawing
