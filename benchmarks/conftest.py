"""Lets `pytest benchmarks/` find this package from the checkout, without hiding an installed hlfast."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
