"""OpenBLAS has to be in place before MLX is imported by anybody, mlx_lm and a test's own imports included."""

import worker.engine  # noqa: F401  (first: the dynamic linker binds MLX's BLAS calls once per process)

import tempfile  # isort: skip
from pathlib import Path  # isort: skip

from hypothesis import configuration, settings  # isort: skip

# A folder of its own inside the checkout would be collected, and two runs side by side would share it.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "nats-mlx-hypothesis")
# Two cores are shared with a model: a slow example is no fault. Failures are printed, so none need be kept.
settings.register_profile("shared", deadline=None, max_examples=100, database=None)
settings.load_profile("shared")
