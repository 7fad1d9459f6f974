"""Where and with what a run was made: without that a figure says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from typing import Any

import hlfast
from hlfast.clock import wall_clock_ms


def processor() -> str:
    """The processor's name, as the system tells it."""
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    if platform.system() == "Darwin":
        told = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False)
        if told.returncode == 0:
            return told.stdout.strip()
    return platform.processor() or platform.machine()


def describe() -> dict[str, Any]:
    """Machine, Python, date and load."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "date": datetime.fromtimestamp(wall_clock_ms() / 1e3, timezone.utc).isoformat(timespec="seconds"),
    }


def unfit_build(build: dict[str, Any]) -> str | None:
    """Why the times of this build of hlfast would say nothing; None if it is fit to be timed."""
    switched_on = [name for name in ("debug", "trace", "sanitize") if build[name]]
    if not switched_on:
        return None
    return (
        f"this hlfast is a {' and '.join(switched_on)} build: its times say nothing; build it without HLFAST_DEBUG, "
        "HLFAST_TRACE and HLFAST_SANITIZE, or pass --debug-ok to run it all the same"
    )


def build_info() -> dict[str, Any]:
    return hlfast.build_info()
