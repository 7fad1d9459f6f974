"""Who may import whom, and what may stand where: the rules of the layers, read from the sources of the package.

Import and cimport lines count wherever they stand, also inside functions and under TYPE_CHECKING. A planted tree shows
that each rule is able to fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "hlfast"

# The first pattern that matches a module names its layer.
LAYERS = {
    "L0": r"hlfast\.(errors|types|order_params|config|clock|main_loop|_build)",
    "L1 core": r"hlfast\.core(\.\w+)*",
    "L2 net": r"hlfast\.net(\.\w+)*",
    "L1 table": r"hlfast\.venues\.\w+\.endpoints(\.\w+)*",  # the venue's protocol as data: no signing, no socket
    "L3 venue": r"hlfast\.venues\.\w+\.(market_data|user_stream|order_entry|recovery|info|actions|action_sender|streams|markets|dex_accounts|connector|node_feed|recorder|replay)",
    "L2 venue": r"hlfast\.venues(\.\w+)*",  # metadata, scan, wire, sign and whatever else needs no socket
    "L4 engine": r"hlfast\.engine(\.\w+)*",
    "L5 sim": r"hlfast\.sim(\.\w+)*",
    "L5": r"hlfast\.(compat|cli|examples)(\.\w+)*",
    "face": r"hlfast",  # the public names, imported lazily
}
# A venue's name is known to itself and to the top only; engine code sees a connector through core. The local exchange
# verifies signatures, so it shares nothing with the code that makes them; it reads the table of endpoints, and the
# verifier does not even do that.
MAY_IMPORT = {
    "L0": {"L0"},
    "L1 core": {"L0", "L1 core"},
    "L2 net": {"L0", "L2 net"},
    "L1 table": {"L0", "L1 core", "L1 table"},
    "L2 venue": {"L0", "L1 core", "L1 table", "L2 venue"},
    "L3 venue": {"L0", "L1 core", "L1 table", "L2 net", "L2 venue", "L3 venue"},
    "L4 engine": {"L0", "L1 core", "L4 engine"},
    "L5 sim": set(LAYERS) - {"L2 venue", "L3 venue"},
    "L5": set(LAYERS),
    "face": set(LAYERS),
}
ALSO = {("L2 net", "hlfast.core.frame_sink"), ("L2 net", "hlfast.core")}  # the seam between sockets and venues
LISTENER = "hlfast.net.listener"
VERIFIER = {"hlfast.sim.verify": "L1 table"}  # what a module may not import beyond its layer's rule
CLOCK = "clock.pyx"
LOOPS_AND_SOCKETS = {"asyncio", "uvloop", "aiohttp", "picows", "socket", "ssl", "selectors"}

TEXT_AND_COMMENTS = re.compile(
    r'("""|\'\'\')(?:\\.|.)*?\1|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#[^\n]*', re.DOTALL
)
FROM = re.compile(r"^[ \t]*from[ \t]+(?P<module>[\w.]+)[ \t]+c?import[ \t]+(?P<names>\([^)]*\)|[^\n]+)", re.M)
IMPORT = re.compile(r"^[ \t]*c?import[ \t]+(?P<modules>[\w., \t]+)$", re.M)
CIMPORT_PICOWS = re.compile(r"^[ \t]*(from[ \t]+picows[\w.]*[ \t]+cimport|cimport[ \t]+picows)", re.M)
CLOCK_READ = re.compile(
    r"(?<![\w.])time\.\w+|\bdatetime\.(now|utcnow|today)\b|\bdate\.today\b|\bclock_gettime\b|\bgettimeofday\b"
    r"|loop(\(\))?\.time\(\)|^[ \t]*(import|from)[ \t]+time\b",
    re.M,
)
C_FUNCTION = re.compile(
    r"^[ \t]*c(p?)def[ \t]+(?:inline[ \t]+)?(?P<type>(?:const[ \t]+|unsigned[ \t]+)?\w+(?:[ \t]*\*)*)[ \t]+(?P<name>\w+)"
    r"[ \t]*\((?P<args>[^()]*(?:\([^()]*\)[^()]*)*)\)(?P<rest>[^\n]*)",
    re.M,
)
C_TYPE = re.compile(r"void|bint|char|short|int|long|float|double|Py_ssize_t|size_t|int128|u?int\d+_t|.*\*")


class Source:
    """One file: its text, its code without strings and comments, and its place among the layers."""

    def __init__(self, path: Path, package: Path) -> None:
        self.file = path.relative_to(package).as_posix()
        self.text = path.read_text(encoding="utf-8")
        self.code = TEXT_AND_COMMENTS.sub(lambda found: "\n" * found.group().count("\n"), self.text)
        parts = path.relative_to(package.parent).with_suffix("").parts
        self.module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        self.layer = layer_of(self.module)

    def imports(self, modules: set[str]) -> Iterator[tuple[int, str]]:
        """Every module that is imported, with its line. A name that is a module is that module."""
        for found in FROM.finditer(self.code):
            names = re.findall(r"(\w+)(?:\s+as\s+\w+)?\s*(?:,|$)", found["names"].strip("() \n").replace("\n", " "))
            for whole in (f"{found['module']}.{name}" for name in names):
                yield line_of(found), whole if whole in modules else found["module"]
        for found in IMPORT.finditer(self.code):
            for name in found["modules"].split(","):
                yield line_of(found), name.split()[0]


def line_of(found: re.Match[str]) -> int:
    return found.string.count("\n", 0, found.start()) + found.group().startswith("\n") + 1


def layer_of(module: str) -> str:
    return next((name for name, pattern in LAYERS.items() if re.fullmatch(pattern, module)), "unknown")


def venue_of(module: str) -> str:
    found = re.match(r"hlfast\.venues\.(\w+)", module)
    return found[1] if found else ""


# Each rule yields (line, what is wrong) of one file.
Broken = Iterator[tuple[int, str]]


def upward_edges(source: Source, modules: set[str]) -> Broken:
    if source.layer == "unknown":
        yield 1, "belongs to no layer"
        return
    for line, imported in source.imports(modules):
        there = layer_of(imported)
        if imported.startswith("."):
            yield line, f"relative import {imported}"
        elif imported.split(".")[0] != "hlfast":
            continue
        elif there == VERIFIER.get(source.module):
            yield line, f"the verifier is independent of {imported} ({there})"
        elif there not in MAY_IMPORT[source.layer] and (source.layer, imported) not in ALSO:
            yield line, f"{source.layer} imports {imported} ({there})"
        elif "" != venue_of(imported) != venue_of(source.module) != "":
            yield line, f"one venue imports another: {imported}"


def core_knows_no_loop_no_socket_and_no_venue(source: Source, modules: set[str]) -> Broken:
    if source.layer != "L1 core":
        return
    for line, imported in source.imports(modules):
        if imported.split(".")[0] in LOOPS_AND_SOCKETS:
            yield line, f"core imports {imported}"
    for venue in {venue_of(module) for module in modules} - {""}:
        for found in re.finditer(venue, source.text, re.IGNORECASE):
            yield line_of(found), f"core names the venue {venue}"


def picows_is_cimported_in_one_place(source: Source, modules: set[str]) -> Broken:
    for found in CIMPORT_PICOWS.finditer(source.code):
        if source.module != LISTENER:
            yield line_of(found), f"picows is cimported outside {LISTENER}"


def clocks_are_read_in_one_place(source: Source, modules: set[str]) -> Broken:
    for found in CLOCK_READ.finditer(source.code):
        if source.file != CLOCK:
            yield line_of(found), f"reads a clock past hlfast.clock: {found.group().strip()}"


def c_functions_say_how_they_fail(source: Source, modules: set[str]) -> Broken:
    for found in C_FUNCTION.finditer(source.code):
        if not C_TYPE.fullmatch(found["type"].removeprefix("const ").removeprefix("unsigned ")):
            continue  # returns an object, which carries its own error
        if not re.search(r"\b(noexcept|except)\b", found["rest"]):
            yield line_of(found), f"{found['name']}() says neither noexcept nor except: its error would have no status"
        elif found["type"] == "void":
            yield line_of(found), f"{found['name']}() returns void: give it a status"


RULES = (
    upward_edges,
    core_knows_no_loop_no_socket_and_no_venue,
    picows_is_cimported_in_one_place,
    clocks_are_read_in_one_place,
    c_functions_say_how_they_fail,
)


def broken_rules(package: Path) -> list[str]:
    """What stands in `package` against the rules, as "file:line: what"."""
    paths = sorted(p for p in package.rglob("*") if p.suffix in (".py", ".pyi", ".pyx", ".pxd"))
    sources = [Source(path, package) for path in paths]
    modules = {source.module for source in sources}
    return [f"{s.file}:{line}: {what}" for s in sources for rule in RULES for line, what in rule(s, modules)]


def test_the_package_keeps_its_layers():
    """Architecture section 4."""
    assert broken_rules(PACKAGE) == []


# -- each rule is able to fail ------------------------------------------------------------------------------------------
GOOD = {
    "__init__.py": "from hlfast.venues.acme.connector import Connector\n",
    "errors.py": '"""Errors. import time; datetime.now() in text is not code."""\nclass E(Exception): ...\n',
    "types.py": "from hlfast.errors import E\n",
    "config.py": "from hlfast.types import (\n    X,\n    Y as Z,\n)\n",
    "clock.pyx": "cdef long now() noexcept nogil:\n    return clock_gettime(0)\n",
    "core/__init__.py": "",
    "core/book.pyx": "from hlfast.clock cimport now\ncdef int f(\n    object x, int (*g)(int),\n) except -1:\n    return 0\n"
    "cdef list rows():\n    return []\n",
    "core/frame_sink.pyx": "cdef class Sink: pass\n",
    "net/__init__.py": "from hlfast.core.frame_sink import Sink\nimport asyncio\n",
    "net/listener.pyx": "from picows.picows cimport WSListener\nfrom hlfast.core.frame_sink cimport Sink\n",
    "venues/__init__.py": "",
    "venues/acme/__init__.py": "",
    "venues/acme/scan.pyx": "from hlfast.core cimport book\n",
    "venues/acme/connector.py": "from hlfast.net import listener\nfrom hlfast.venues.acme import scan\n",
    "engine/run.py": "from hlfast.core.book import rows\n",
    "sim/server.py": "from hlfast import clock\n",
    "cli/app.py": "import hlfast, os\nfrom hlfast.sim.server import serve\n",
}
PLANTED = [
    ("core/book.pyx", "from hlfast.net cimport listener\n", "L1 core imports hlfast.net.listener (L2 net)"),
    ("core/book.pyx", "def f():\n    from hlfast.sim import server\n", "L1 core imports hlfast.sim.server (L5 sim)"),
    ("core/book.pyx", "if TYPE_CHECKING:\n    import hlfast.engine.run\n", "imports hlfast.engine.run (L4 engine)"),
    ("core/book.pyx", "import asyncio\n", "core imports asyncio"),
    ("core/book.pyx", "def f():\n    from asyncio import sleep\n", "core imports asyncio"),
    ("core/book.pyx", "# as Acme does\n", "core names the venue acme"),
    ("core/book.pyi", "from .frame_sink import Sink\n", "relative import .frame_sink"),
    ("core/book.pyx", "import hlfast\n", "L1 core imports hlfast (face)"),
    ("errors.py", "from hlfast.core import book\n", "L0 imports hlfast.core.book (L1 core)"),
    ("net/session.py", "from hlfast.core.book import rows\n", "L2 net imports hlfast.core.book (L1 core)"),
    ("net/session.py", "from hlfast.core import frame_sink, book\n", "L2 net imports hlfast.core.book (L1 core)"),
    ("venues/acme/sign.pyx", "from hlfast.net.listener cimport X\n", "L2 venue imports hlfast.net.listener (L2 net)"),
    ("venues/acme/wire.py", "from hlfast.venues.acme.connector import C\n", "L2 venue imports hlfast.venues.acme.conn"),
    ("venues/other/connector.py", "from hlfast.venues.acme import scan\n", "one venue imports another"),
    ("engine/run.py", "from hlfast.venues.acme.connector import C\n", "L4 engine imports hlfast.venues.acme.connector"),
    ("engine/run.py", "from hlfast.net.listener import L\n", "L4 engine imports hlfast.net.listener"),
    (
        "venues/acme/connector.py",
        "from hlfast.sim.server import serve\n",
        "L3 venue imports hlfast.sim.server (L5 sim)",
    ),
    ("sim/verify.py", "from hlfast.venues.acme.scan import x\n", "L5 sim imports hlfast.venues.acme.scan (L2 venue)"),
    ("strange.py", "\n", "belongs to no layer"),
    ("venues/acme/scan.pyx", "cimport picows\n", "picows is cimported outside hlfast.net.listener"),
    (
        "net/session.pyx",
        "from picows.picows cimport (\n    WSFrame)\n",
        "picows is cimported outside hlfast.net.listener",
    ),
    ("engine/run.py", "import time\n", "reads a clock past hlfast.clock: import time"),
    ("engine/run.py", "x = time.perf_counter_ns()\n", "reads a clock past hlfast.clock: time.perf_counter_ns"),
    ("sim/server.py", "y = datetime.now(UTC)\n", "reads a clock past hlfast.clock: datetime.now"),
    ("net/session.py", "t = asyncio.get_running_loop().time()\n", "reads a clock past hlfast.clock"),
    ("core/book.pyx", "cdef void f():\n    pass\n", "f() says neither noexcept nor except"),
    (
        "core/book.pyx",
        "cdef class B:\n    cdef inline void f(self) noexcept nogil:\n        pass\n",
        "f() returns void",
    ),
    ("core/book.pyx", "cdef bint f(object x):\n    return 0\n", "f() says neither noexcept nor except"),
    ("core/book.pxd", "cdef Level* f(\n    int x,\n)\n", "f() says neither noexcept nor except"),
]


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / "hlfast" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "hlfast"


def test_a_tree_that_keeps_the_rules_passes(tmp_path):
    assert broken_rules(plant(tmp_path, GOOD)) == []


@pytest.mark.parametrize(("file", "text", "message"), PLANTED)
def test_what_is_planted_is_found_and_nothing_else(tmp_path, file, text, message):
    planted = {**GOOD, "venues/other/__init__.py": "", file: GOOD.get(file, "") + text}
    found = broken_rules(plant(tmp_path, planted))
    assert len(found) == 1 and found[0].startswith(f"{file}:") and message in found[0], found
