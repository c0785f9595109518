"""`python -m worker.engine.reference ...` is `mlx_lm.server ...`, with the BLAS in place that the worker has.

On Linux mlx_lm alone would run on the reference BLAS, and any comparison would be one of BLAS libraries.
"""

from __future__ import annotations

from mlx_lm.server import main

if __name__ == "__main__":
    main()
