"""From prompt to text on MLX. The fast BLAS has to be in place before the first import of mlx.core."""

from worker.engine import blas

blas.preload()
