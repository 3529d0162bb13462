"""Out of memory: what torch says of it on GPUs and CPUs -> one error that names the option to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from raybio.errors import RaybioError

# A GPU's own error is not always raised: a library that allocates for itself has words of its own.
_SIGNS = ("out of memory", "not enough memory", "DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether it is for want of memory; on a CPU torch raises a plain RuntimeError."""
    if isinstance(error, RuntimeError):
        return any(sign in str(error) for sign in _SIGNS)
    return isinstance(error, MemoryError)


@contextmanager
def tell_out_of_memory(kind: type[RaybioError], advice: Callable[[], str]) -> Iterator[None]:
    """Raise an error of `kind` with `advice` where the `with` block needs more memory than there is."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise kind(advice()) from error
