"""A handler of somebody else's, compiled against the package that is installed: the shipped `.pxd` are a public face."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from decimal import Decimal
from pathlib import Path

import pytest

import hlfast
from hlfast.core.order_book import OrderBook
from hlfast.core.updates import TradeUpdate

HANDLER = """
from libc.stdint cimport int64_t
from hlfast.core.fixed cimport NUM_OK, int128, parse_scaled
from hlfast.core.order_book cimport Level, OrderBook
from hlfast.core.updates cimport TradeUpdate

cdef class TopValue:
    '''Price times size of the best bid, from the C arrays of the book.'''
    cdef readonly int64_t calls
    cdef int128 value

    def __call__(self, OrderBook book not None):
        cdef Level best
        self.calls += 1
        if book.n_bids:
            best = book.bids[0]
            self.value = <int128>best.px_e8 * best.lots

    @property
    def whole(self):
        return int(<int64_t>(self.value / 100000000))


def read(bytes text, int decimals):
    cdef int64_t out = 0
    return out if parse_scaled(text, len(text), decimals, &out) == NUM_OK else None


def signed_lots(TradeUpdate fill not None):
    return fill.lots if fill.is_buy else -fill.lots
"""
BUILD = """
import sys
from Cython.Build import cythonize
from setuptools import Extension, setup
extension = Extension("downstream", ["downstream.pyx"], extra_compile_args=["-O0"])
setup(
    script_args=["-q", "build_ext", "--inplace"],
    ext_modules=cythonize([extension], include_path=[sys.argv[1]], language_level=3, quiet=True),
)
"""


@pytest.fixture(scope="module")
def downstream(tmp_path_factory):
    for needed in ("Cython", "setuptools"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed here: nothing to compile a downstream module with")
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        pytest.skip(f"no C compiler {compiler!r} here")
    folder = tmp_path_factory.mktemp("downstream")
    (folder / "downstream.pyx").write_text(HANDLER)
    (folder / "build.py").write_text(BUILD)
    parent = str(Path(hlfast.__file__).parents[1])
    ran = subprocess.run([sys.executable, "build.py", parent], cwd=folder, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr[-3000:]
    [built] = [p for p in folder.iterdir() if p.name.endswith(sysconfig.get_config_var("EXT_SUFFIX"))]
    spec = importlib.util.spec_from_file_location("downstream", built)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_compiled_handler_reads_the_books_levels(downstream):
    """Architecture 11: a handler without a Python object per level."""
    handler, book = downstream.TopValue(), OrderBook("BTC", 3)
    handler(book)
    book.apply_snapshot([("50000.5", "0.25"), ("50000", 1)], [("50001", 2)])
    handler(book)
    assert (handler.calls, handler.whole) == (2, int(Decimal("50000.5") * 250))
    with pytest.raises(TypeError):
        handler(object())


def test_the_number_kernels_and_the_records_are_usable_too(downstream):
    """Architecture 2.8: kernels are inline functions in a `.pxd`."""
    assert (
        downstream.read(b"-12.5", 2) == -1250
        and downstream.read(b"12.555", 2) is None
        and downstream.read(b"1e5", 2) is None
    )
    fill = TradeUpdate(coin="BTC", tid=1, price=1, amount="0.5", sz_decimals=3, is_buy=False)
    assert downstream.signed_lots(fill) == -500
