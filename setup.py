"""The compiled part of Palmares; everything else is said in pyproject.toml."""

import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

# No -march=native: a wheel built on one machine must run on the next.
OPTIMISE = ["/O2"] if sys.platform == "win32" else ["-O3", "-g0"]

INDEX = Extension(
    "palmares.ledger.embedded._index",
    ["src/palmares/ledger/embedded/_index.pyx"],
    extra_compile_args=OPTIMISE,
)

setup(ext_modules=cythonize([INDEX], build_dir="build/cython", language_level=3))
