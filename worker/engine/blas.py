"""A fast BLAS under MLX on Linux: the mlx-cpu wheel is linked with the reference BLAS, which is slow."""

import ctypes
import os
import sys
from contextlib import suppress
from ctypes.util import find_library
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def preload() -> str | None:
    """Load OpenBLAS into the process's global symbols; return where it came from, None where there is none.

    Call it before the first ``import mlx.core``: the dynamic linker then binds MLX's BLAS calls to OpenBLAS
    and not to the reference BLAS in the mlx-cpu wheel. On two cores the starter model then reads a prompt at
    about 170 tokens/s and not 11, and writes 15 and not 8. macOS has Accelerate and needs none of this.
    """
    if sys.platform != "linux":
        return None
    _leave_a_core()
    packaged = _installed("cmeel-openblas", "cmeel.prefix/lib/libopenblas.so.0")
    if packaged and (_load(packaged) or (_lend_fortran() and _load(packaged))):
        return str(packaged)
    system = find_library("openblas")
    return system if system and _load(system) else None


def _leave_a_core() -> None:
    """Leave one core to the others: every BLAS call waits for its slowest thread.

    Measured on two cores: a second thread saves a fifth of the time on an idle machine, and makes it six
    times as long when other programs keep both cores busy.
    """
    threads = max(1, len(os.sched_getaffinity(0)) - 1)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))


def _installed(package: str, file: str) -> Path | None:
    with suppress(PackageNotFoundError):
        path = Path(str(distribution(package).locate_file(file)))
        return path if path.exists() else None
    return None


def _load(library: Path | str, mode: int = ctypes.RTLD_GLOBAL) -> bool:
    with suppress(OSError):
        ctypes.CDLL(str(library), mode=mode)
        return True
    return False


def _lend_fortran() -> bool:
    """Give OpenBLAS the Fortran runtime out of the mlx-cpu wheel, for a machine without libgfortran5.

    The wheel carries that library under a name with a hash, and the linker knows a loaded library by the name
    written in it. So a copy in memory gets the plain name back.
    """
    folder = _installed("mlx-cpu", "mlx_cpu.libs")
    for library in sorted(folder.glob("libgfortran-*.so.5*")) if folder else ():
        for quadmath in library.parent.glob("libquadmath-*"):
            _load(quadmath, ctypes.RTLD_LOCAL)
        return _load_renamed(library, b"libgfortran.so.5")
    return False


def _load_renamed(library: Path, name: bytes) -> bool:
    old = library.name.encode() + b"\0"
    with suppress(OSError), os.fdopen(os.memfd_create(name.decode()), "wb", buffering=0) as copy:
        copy.write(library.read_bytes().replace(old, name.ljust(len(old), b"\0")))
        return _load(f"/proc/self/fd/{copy.fileno()}", ctypes.RTLD_LOCAL)
    return False
