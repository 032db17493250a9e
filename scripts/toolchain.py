"""Where the scripts find compilers and headers."""

import os
import pathlib
import shutil

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Missing(Exception):
    """Something is not installed."""


def first_that_has(name, folders):
    for folder in folders:
        if folder and (pathlib.Path(folder) / name).exists():
            return str(folder)
    raise Missing(f"{name} is not to be found")


def eigen():
    """The folder of Eigen's headers: a bundle's own, or the system's."""
    return first_that_has("Eigen/Core", [ROOT / "third_party/include", "/usr/include/eigen3",
                                         "/usr/local/include/eigen3"])


def thrust():
    """The folder of Thrust's headers."""
    toolkit = os.environ.get("CUDA_PATH", "/usr/local/cuda")
    return first_that_has("thrust/version.h", [f"{toolkit}/include/cccl", f"{toolkit}/include",
                                               "/usr/include"])


def nvcc():
    """nvcc as cmake/cuda.cmake finds it."""
    for name in (os.environ.get("CUDACXX"), "nvcc", f"{os.environ.get('CUDA_PATH', '')}/bin/nvcc",
                 "/usr/local/cuda/bin/nvcc"):
        if name and (path := shutil.which(name)):
            return path
    raise Missing("there is no nvcc")
