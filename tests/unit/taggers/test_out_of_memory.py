import pytest
import torch

from raybio.errors import ModelError
from raybio.taggers.out_of_memory import tell_out_of_memory


def test_a_cpu_that_has_not_enough_memory_is_reported():
    with pytest.raises(ModelError, match="take less"), tell_out_of_memory(ModelError, lambda: "take less"):
        torch.empty(1 << 50)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
)
def test_a_gpu_and_python_are_understood_too(error):
    with pytest.raises(ModelError, match="take less"), tell_out_of_memory(ModelError, lambda: "take less"):
        raise error


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes"), tell_out_of_memory(ModelError, lambda: "take less"):
        raise RuntimeError("shapes do not fit")
