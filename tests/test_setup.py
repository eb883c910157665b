"""Which Python scripts/setup takes, with real interpreters: those of this machine, as far as they
are there. The machine's kind is what a `uname` of the test says."""

from __future__ import annotations

import functools
import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

import pytest

from tests.support import ROOT

X86, ARM = "x86_64", "aarch64"
SYSTEM_SITE = "--system-site-packages"
TOOLS = ["basename", "cat", "cksum", "dirname", "env", "flock", "grep", "id", "ln", "mkdir"]
TOOLS += ["mktemp", "mv", "paste", "pwd", "readlink", "rm", "sed", "sh", "sort", "tr"]
CHOICE = """
set -eu
say() { :; }
die() { echo "$*" >&2; exit 1; }
venv=/nowhere
. "$0/scripts/choose_python.sh"
choose_python
printf '%s\\n' "${version%.*}" "$site" "$(engine_extra)" "$python"
"""


@functools.lru_cache(maxsize=None)
def interpreter(version: str) -> str:
    """The path of a whole CPython `version`; the test is skipped where there is none."""
    here = getattr(sys, "_base_executable", sys.executable)
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    installed = sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python"))
    code = "import sys, ensurepip, sqlite3, ssl; print('%d.%d' % sys.version_info[:2])"
    for place in [here, shutil.which(f"python{version}") or here, *installed]:
        # A shim of pyenv runs another program; the test wants that one.
        command = [place, "-c", f"{code}; print(sys.executable)"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.stdout.startswith(f"{version}\n"):
            return run.stdout.splitlines()[1]
    pytest.skip(f"there is no Python {version}")


class Choice(NamedTuple):
    version: str
    site: str
    extra: str
    python: str


class Machine:
    """A PATH of its own with nothing but the shell's tools, a `uname` and some Pythons."""

    def __init__(self, folder: Path, kind: str, *versions: str) -> None:
        self.bin, self.home = folder / "bin", folder / "home"
        self.bin.mkdir()
        self.home.mkdir()
        for tool in TOOLS:
            self._link(tool, shutil.which(tool))
        (self.bin / "uname").write_text(f"#!/bin/sh\necho {kind}\n")
        (self.bin / "uname").chmod(0o755)
        for version in versions:
            self._link(f"python{version}", interpreter(version))

    def _link(self, name: str, target: Optional[str]) -> None:
        if target:
            (self.bin / name).symlink_to(target)

    def environment(self) -> Dict[str, str]:
        return {"PATH": str(self.bin), "HOME": str(self.home)}

    def choose(self, override: str = "") -> Choice:
        command = ["sh", "-c", CHOICE, str(ROOT)]
        environment = {**self.environment(), "override": override}
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return Choice(*run.stdout.splitlines())

    def vendor(self, folder: Path, version: str, name: str = "") -> str:
        """A Python of its own that Paddle Lite is installed in, on the PATH as `name`."""
        make_venv(interpreter(version), folder)
        install_paddlelite(folder, version)
        python = folder / "bin" / "python"
        if name:
            (self.bin / name).write_text(f'#!/bin/sh\nexec {python} "$@"\n')
            (self.bin / name).chmod(0o755)
        return str(python)


def make_venv(python: str, folder: Path, *options: str) -> None:
    subprocess.run([python, "-m", "venv", "--without-pip", *options, str(folder)], check=True)


def install_paddlelite(prefix: Path, version: str) -> None:
    package = prefix / "lib" / f"python{version}" / "site-packages" / "paddlelite"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()


@pytest.mark.parametrize(
    ("kind", "there", "taken", "extra"),
    [
        (X86, ["3.8", "3.10", "3.12"], "3.10", ""),
        (X86, ["3.8", "3.12"], "3.8", ""),
        (X86, ["3.9", "3.12", "3.13"], "3.12", "paddle"),
        (X86, ["3.13"], "3.13", "paddle"),
        (ARM, ["3.8", "3.10", "3.11"], "3.11", "paddle"),
        (ARM, ["3.8", "3.10"], "3.10", "paddle"),
        (ARM, ["3.9"], "3.9", "paddle"),
    ],
)
def test_the_best_that_there_is(
    tmp_path: Path, kind: str, there: List[str], taken: str, extra: str
) -> None:
    choice = Machine(tmp_path, kind, *there).choose()
    assert (choice.version, choice.site, choice.extra) == (taken, "", extra)


@pytest.mark.parametrize("name", ["python3", "python3.8"])
def test_the_vendors(tmp_path: Path, name: str) -> None:
    """It goes before every other."""
    machine = Machine(tmp_path, ARM, "3.12")
    vendors = machine.vendor(tmp_path / "vendor", "3.8", name)
    assert machine.choose() == Choice("3.8", SYSTEM_SITE, "", vendors)


def test_the_vendors_by_name(tmp_path: Path) -> None:
    machine = Machine(tmp_path, ARM, "3.12")
    vendors = machine.vendor(tmp_path / "vendor", "3.9")
    assert machine.choose(override=vendors) == Choice("3.9", SYSTEM_SITE, "", vendors)
    other = machine.choose(override=interpreter("3.12"))
    assert (other.version, other.site, other.extra) == ("3.12", "", "paddle")


def test_on_a_pc_paddle_lite_comes_as_a_wheel(tmp_path: Path) -> None:
    machine = Machine(tmp_path, X86)
    vendors = machine.vendor(tmp_path / "vendor", "3.10")
    assert machine.choose(override=vendors) == Choice("3.10", "", "", vendors)


def test_a_wheel_that_a_user_installed(tmp_path: Path) -> None:
    """By `pip install --user`; the venv sees it."""
    machine = Machine(tmp_path, ARM, "3.10")
    install_paddlelite(machine.home / ".local", "3.10")
    choice = machine.choose()
    assert (choice.version, choice.site, choice.extra) == ("3.10", SYSTEM_SITE, "")
    make_venv(choice.python, tmp_path / "venv", choice.site)
    subprocess.run(
        [str(tmp_path / "venv" / "bin" / "python"), "-c", "import paddlelite"],
        env=machine.environment(),
        check=True,
    )


def test_a_wheel_that_came_later(tmp_path: Path) -> None:
    """The environment is left alone until its Python has Paddle Lite, and is then made anew."""
    machine = Machine(tmp_path, ARM)
    vendors = machine.vendor(tmp_path / "vendor", "3.10", "python3")
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "scripts", tree / "scripts")
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tree / name)
    make_venv(vendors, tree / ".venv")
    (tree / ".venv" / "bin" / "edged").symlink_to("python")
    parts = "setup.cfg pyproject.toml scripts/setup scripts/choose_python.sh"
    stamp = f"cat {parts} | cksum; pwd -P; echo {vendors}; echo 3.10.0; echo paddle"
    subprocess.run(["sh", "-c", f"({stamp}) > .venv/setup.stamp"], cwd=tree, check=True)
    package = next((tmp_path / "vendor").glob("lib/*/site-packages/paddlelite"))

    package.rename(tmp_path / "wheel")
    assert set_up(machine, tree) == (0, "")
    (tmp_path / "wheel").rename(package)
    code, said = set_up(machine, tree)
    assert (code, "setting up .venv with Python 3.10" in said) == (1, True), said
    configured = (tree / ".venv" / "pyvenv.cfg").read_text()
    assert "include-system-site-packages = true" in configured


def set_up(machine: Machine, tree: Path) -> Tuple[int, str]:
    """Its exit code, and what it says."""
    run = subprocess.run(
        [str(tree / "scripts" / "setup")],
        env={**machine.environment(), "PIP_RETRIES": "none"},  # pip ends before it fetches anything
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stderr
