"""Wheels for another machine or Python than this one, with this machine's pip and its settings.

    python3 -m scripts.fetch_wheels MACHINE PYTHON GLIBC FOLDER REQUIREMENT...

as in `aarch64 3.11 2.36 wheels edged`. pip weighs markers such as platform_machine by the
Python it runs in, whatever --platform says: so it is told another here.
"""

from __future__ import annotations

import platform
import runpy
import sys
from typing import List


def main(machine: str, python: str, glibc: str, folder: str, *requirements: str) -> None:
    major, minor = python.split(".")
    platform.machine = lambda: machine
    platform.python_version_tuple = lambda: (major, minor, "0")
    platform.python_version = lambda: f"{python}.0"
    newest = int(glibc.split(".")[1])
    tags = ["manylinux2014", *(f"manylinux_2_{number}" for number in range(17, newest + 1))]
    sys.argv = ["pip", "download", "--quiet", "--dest", folder, "--only-binary=:all:"]
    sys.argv += ["--implementation", "cp", "--python-version", python]
    sys.argv += [f"--platform={tag}_{machine}" for tag in tags]
    sys.argv += [*requirements, *_TO_BUILD]
    runpy.run_module("pip", run_name="__main__")


# What a venv without a network needs beside, to install edged from its source.
_TO_BUILD: List[str] = ["pip>=22.3", "setuptools>=64", "wheel"]

if __name__ == "__main__":
    main(*sys.argv[1:])
