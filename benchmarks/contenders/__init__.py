"""The same training in several frameworks: what `benchmarks.training` and `benchmarks.accelerator` time in turn."""
