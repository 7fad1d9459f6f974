"""The one table of hlfast's compiled modules, and the switches that change how they are built.

    HLFAST_DEBUG=1      all Cython checks on, -O0 -g, C asserts
    HLFAST_TRACE=1      line tracing, for coverage of .pyx files
    HLFAST_SANITIZE=1   AddressSanitizer and UndefinedBehaviorSanitizer
    HLFAST_ONLY=a,b     build only these modules (development)

`hlfast.build_info()` tells which of them a build was made with.
"""

import os
import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

MODULES = [
    "hlfast._build",
    "hlfast.clock",
    "hlfast.order_params",
    "hlfast.core.crash_points",
    "hlfast.core.fixed",
    "hlfast.core.trading_rule",
    "hlfast.core.order_book",
    "hlfast.core.frame_sink",
    "hlfast.core.latency",
    "hlfast.core.updates",
    "hlfast.core.events",
    "hlfast.core.bus",
    "hlfast.core.in_flight_order",
    "hlfast.core.order_tracker",
    "hlfast.core.position",
    "hlfast.core.top_of_book",
    "hlfast.core.features",
    "hlfast.core.l4_book",
    "hlfast.core.order_ids",
    "hlfast.core.journal_ring",
    "hlfast.core.checks",
    "hlfast.net.listener",
    "hlfast.net.frame_tap",
    "hlfast.venues.hyperliquid.wire",
    "hlfast.venues.hyperliquid.limits",
    "hlfast.venues.hyperliquid.nonce",
    "hlfast.venues.hyperliquid.pack",
    "hlfast.venues.hyperliquid.secp256k1",
    "hlfast.venues.hyperliquid.nonce_pool",
    "hlfast.venues.hyperliquid.sign",
    "hlfast.venues.hyperliquid.scan",
    "hlfast.venues.hyperliquid.l4_scan",
    "hlfast.venues.hyperliquid.order_entry",
]


def switch(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


DEBUG, TRACE, SANITIZE = switch("HLFAST_DEBUG"), switch("HLFAST_TRACE"), switch("HLFAST_SANITIZE")

directives = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": DEBUG,
    "initializedcheck": DEBUG,
    "nonecheck": DEBUG,
    "cdivision": True,  # integer kernels rely on C division in every build
    "embedsignature": True,
    "overflowcheck": False,
    "linetrace": TRACE,
}
macros = [("HLFAST_DEBUG", str(int(DEBUG))), ("HLFAST_TRACE", str(int(TRACE))), ("HLFAST_SANITIZE", str(int(SANITIZE)))]
if TRACE:
    macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1")]
compile_args = ["-O0", "-g", "-UNDEBUG"] if DEBUG else ["-O2", "-DNDEBUG"]
compile_args += ["-std=c11", "-Wno-unused-function", "-Wno-unreachable-code"]
link_args: list[str] = []
if SANITIZE:
    flags = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
    compile_args += flags
    link_args += flags

if sys.platform == "win32":
    raise SystemExit("hlfast builds on Linux and macOS (uvloop has no Windows build); use WSL on Windows")

only = [name for name in os.environ.get("HLFAST_ONLY", "").split(",") if name]
unknown = [name for name in only if name not in MODULES]
if unknown:
    raise SystemExit(f"HLFAST_ONLY names {unknown}; the modules are {MODULES}")

extensions = [
    Extension(
        name,
        [name.replace(".", "/") + ".pyx"],
        define_macros=macros,
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )
    for name in (only or MODULES)
]

# A build of its own for each set of switches: setuptools would otherwise take the objects of another one.
flavour = "-".join(name for name, on in (("debug", DEBUG), ("trace", TRACE), ("sanitize", SANITIZE)) if on) or "release"

setup(
    options={"build": {"build_base": f"build/{flavour}"}},
    ext_modules=cythonize(
        extensions,
        compiler_directives=directives,
        build_dir=f"build/{flavour}/cython",
        nthreads=0,
        force=DEBUG or TRACE or SANITIZE,
    ),
)
