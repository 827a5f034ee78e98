"""Every test runs in strict dtype promotion, on several host devices, with warnings as errors (pyproject.toml)."""

import os
import tempfile

# The same small programs are compiled by many tests: each once in a session.
_COMPILED = tempfile.TemporaryDirectory(prefix="galjax-tests-")
os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED.name
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
os.environ.setdefault("MPLBACKEND", "agg")

import jax

jax.config.update("jax_numpy_dtype_promotion", "strict")
