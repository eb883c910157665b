"""A Debian that boots under systemd-nspawn, with a network of its own and edged's wheels."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, List, Optional

import pytest

from tests.support import ROOT, wait_for

SUITE = "bookworm"
PACKAGES = "systemd,systemd-sysv,dbus,ca-certificates,python3,python3-venv,libgomp1"
PYTHON, GLIBC = "3.11", "2.36"
TOOLS = ["debootstrap", "systemd-nspawn", "nsenter", "unshare"]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edged" / "systemd"
_BOOT_SECONDS = 60
if TYPE_CHECKING:
    Finished = subprocess.CompletedProcess[str]
_CLONE_NEWNET = 0x40000000
_REBOOT = 133


def base() -> Path:
    """Its files as Debian has them, and the wheels beside; built once, some 600 MB. The test is
    skipped where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("only root may boot a Debian")
    for tool in TOOLS:
        if shutil.which(tool) is None:
            pytest.skip(f"lacks {tool}: apt install debootstrap systemd-container")
    tree, wheels = CACHE / "root", CACHE / "wheels"
    _build(tree, f"{SUITE} {PACKAGES}", _debootstrap)
    _build(wheels, (ROOT / "setup.cfg").read_text() + PYTHON, _fetch_wheels)
    return tree


def _build(folder: Path, wish: str, make: Callable[[Path], Finished]) -> None:
    done = folder.with_suffix(".complete")
    if done.is_file() and done.read_text() == wish:
        return
    done.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    run = make(folder)
    if run.returncode != 0:
        pytest.skip(f"{folder} could not be built: {run.stdout[-500:]} {run.stderr[-500:]}")
    done.write_text(wish)


def _debootstrap(folder: Path) -> Finished:
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


def _fetch_wheels(folder: Path) -> Finished:
    command = [sys.executable, "-m", "scripts.fetch_wheels", "x86_64", PYTHON, GLIBC, str(folder)]
    return subprocess.run([*command, f"{ROOT}[paddle]"], cwd=ROOT, capture_output=True, text=True)


class Machine:
    """What it writes goes when it is closed; `sources` are the folders of edged that it sees."""

    def __init__(self, tree: Path) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="edged-machine-", dir=CACHE)
        scratch = Path(self._scratch.name)
        self.sources = scratch / "sources"
        self.sources.mkdir()
        self._tree = tree
        self._log = open(scratch / "console.log", "w")  # noqa: SIM115
        self._nspawn: Optional[subprocess.Popen[str]] = None
        self.boot()

    def boot(self) -> None:
        """Raises AssertionError when it does not come up."""
        script = str(Path(__file__).with_name("boot.sh"))
        binds = [
            f"--bind-ro={self._tree.with_name('wheels')}:/srv/wheels",
            f"--bind-ro={self.sources}:/srv/sources",
        ]
        self._nspawn = subprocess.Popen(
            ["sh", script, self._scratch.name, str(self._tree), "--console=pipe", *binds],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait_for(self._booted, _BOOT_SECONDS)

    def _booted(self) -> bool:
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, Path(self._log.name).read_text()
        if self.leader is None:
            return False
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    @property
    def leader(self) -> Optional[int]:
        """Its first process, as this machine numbers them."""
        assert self._nspawn is not None
        pid = self._nspawn.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    return int(child)
        return None

    def path(self, inside: str) -> Path:
        return Path(f"/proc/{self.leader}/root{inside}")

    def run(self, *command: str, check: bool = True) -> Finished:
        """As root in it, with the wheels in place of a package index."""
        environment = ["HOME=/root", "LANG=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        environment += ["PIP_NO_INDEX=1", "PIP_FIND_LINKS=/srv/wheels"]
        enter = ["nsenter", f"--target={self.leader}", "--all", "env", "-i", *environment]
        done = subprocess.run([*enter, *command], capture_output=True, text=True, timeout=900)
        assert not check or done.returncode == 0, (command, done.stdout, done.stderr)
        return done

    def kill(self, pid: int, name: str) -> None:
        """Sends one of its processes the signal."""
        self.run("sh", "-c", f"kill -{name} {pid}")

    def show(self, name: str, unit: str = "edged.service") -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()

    def children(self, pid: int) -> List[int]:
        """Of one of its processes; both as it numbers them."""
        listed = self.path(f"/proc/{pid}/task/{pid}/children")
        with suppress(FileNotFoundError, ProcessLookupError):
            return [int(child) for child in listed.read_text().split()]
        return []

    @contextmanager
    def network(self) -> Iterator[None]:
        """Sockets that this thread opens meanwhile are the machine's."""
        ours = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
        theirs = os.open(f"/proc/{self.leader}/ns/net", os.O_RDONLY)
        try:
            _enter(theirs)
            yield
        finally:
            _enter(ours)
            os.close(ours)
            os.close(theirs)

    def reboot(self) -> None:
        assert self._nspawn is not None
        self.run("systemctl", "reboot", check=False)
        # With --keep-unit whoever started it is to start it again.
        assert self._nspawn.wait(_BOOT_SECONDS) == _REBOOT
        self.boot()

    def close(self) -> None:
        assert self._nspawn is not None
        self._nspawn.terminate()
        try:
            self._nspawn.wait(30)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        self._log.close()
        self._scratch.cleanup()
        _remove_cgroups()


def _enter(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _remove_cgroups() -> None:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            own = Path("/proc/self/cgroup").read_text().split("0::", 1)[1].split("\n")[0]
            top = Path(line.split()[4] + own) / "edged-test"
            for folder, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):
                    os.rmdir(folder)
