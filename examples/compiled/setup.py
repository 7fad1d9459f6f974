"""Builds the strategy beside this file: python setup.py build_ext --inplace"""

from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    name="pressure-taker",
    version="1",
    # hlfast's .pxd files are found where hlfast is installed.
    ext_modules=cythonize([Extension("pressure_taker", ["pressure_taker.pyx"])], language_level=3),
)
