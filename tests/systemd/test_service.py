"""edged installed on a Debian of its own, from the first start to the removal.

The tests are one story and run in their order: each goes on from where the one before left
the machine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Iterator, List

import pytest

from tests.support import ROOT, wait_for
from tests.systemd.clients import Client, Load
from tests.systemd.machine import Machine, base

pytestmark = pytest.mark.slow

CONFIG = "/etc/edged/edged.yaml"
SOCKET = "edged.socket"
DROP_INS = "/etc/systemd/system/edged.service.d"
SOURCES = ["edged", "models", "scripts", "systemd", "LICENSE", "README.md"]
SOURCES += ["pyproject.toml", "setup.cfg"]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    machine = Machine(base())
    try:
        copy_source(machine, "first")
        yield machine
    finally:
        machine.close()


def copy_source(machine: Machine, name: str) -> Path:
    """edged as a user has it, as /srv/sources/NAME in the machine."""
    folder = machine.sources / name
    folder.mkdir()
    for source in SOURCES:
        if (ROOT / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, folder / source, ignore=ignored)
        else:
            shutil.copy(ROOT / source, folder / source)
    return folder


def install(machine: Machine, name: str, *options: str, check: bool = True) -> str:
    """What it says."""
    done = machine.run(f"/srv/sources/{name}/scripts/install", *options, check=check)
    assert check or done.returncode == 1
    return done.stderr


def main_pid(machine: Machine) -> int:
    return int(machine.show("MainPID"))


def release(machine: Machine) -> str:
    """The venv that is in use."""
    return os.readlink(machine.path("/opt/edged/current"))


def since(machine: Machine, state: str) -> float:
    """When systemd saw the service come to it, in seconds as time.monotonic counts them."""
    return int(machine.show(f"{state}TimestampMonotonic")) / 1e6


def wait_replaced(machine: Machine, before: int) -> None:
    """Until the daemon is another one and is ready."""
    wait_for(lambda: main_pid(machine) not in (0, before))
    wait_for(lambda: machine.show("ActiveState") == "active")


def test_install(machine: Machine) -> None:
    said = install(machine, "first")
    assert "edged is ready" in said
    client = Client(machine)
    assert client.get("/readyz") == 200
    assert client.post().status == 200
    client.close()
    content = machine.path(CONFIG).read_text()
    assert "\nlisten: 0.0.0.0:9876\nauth: off\n" in content
    above = content[: content.index("\nlisten:")].splitlines()[-4:]
    assert any("EdgeBoard and EasyDL-local routes" in line for line in above)
    assert machine.show("User") == "edged"
    owner = machine.run("stat", "--format=%U", "/var/lib/edged/models/digits").stdout.strip()
    assert owner == "edged"


def test_its_commands_are_the_services(machine: Machine) -> None:
    """Its settings, its user: what root creates, the daemon can read."""
    machine.run("/usr/local/bin/edged", "keys", "create", "shop")
    keys = machine.run("stat", "--format=%U %a", "/var/lib/edged/state/keys.sqlite").stdout
    assert keys.strip() == "edged 600"
    assert "digits" in machine.run("/usr/local/bin/edged", "models", "list").stdout


def test_the_journal_has_what_is_known_of_a_request(machine: Machine) -> None:
    client = Client(machine)
    assert client.post().status == 200
    client.close()
    command = ["journalctl", "--unit=edged", "--output=json", "--lines=1", "MID=1", "CODE=0"]
    entry = json.loads(wait_for(lambda: machine.run(*command, check=False).stdout))
    assert entry["LOGGER"] == "edged.requests"
    assert (entry["MID"], entry["CODE"], entry["PRIORITY"]) == ("1", "0", "6")
    assert f"request_id={entry['REQUEST_ID']}" in entry["MESSAGE"]


def test_a_reload_takes_up_what_has_changed(machine: Machine) -> None:
    """In the daemon that runs."""
    before = main_pid(machine)
    folder = "/var/lib/edged/models/12-more"
    machine.run("cp", "-R", "/var/lib/edged/models/digits", folder)
    machine.run("sed", "-i", "/^mid:/d; /^name:/d", f"{folder}/model.yaml")
    client = Client(machine)
    machine.run("systemctl", "reload", "edged.service")
    wait_for(lambda: client.get("/api/models/12") == 200)
    machine.run("rm", "-r", folder)
    machine.run("systemctl", "reload", "edged.service")
    wait_for(lambda: client.get("/api/models/12") == 404)
    client.close()
    wait_for(lambda: machine.show("ActiveState") == "active")
    assert main_pid(machine) == before


def test_once_more_changes_nothing(machine: Machine) -> None:
    before = main_pid(machine), release(machine)
    shutil.rmtree(machine.path("/var/lib/edged/models/print"))  # who removed it wants it gone
    assert "as it should be" in install(machine, "first")
    assert (main_pid(machine), release(machine)) == before
    assert not machine.path("/var/lib/edged/models/print").exists()


def test_ready_only_when_the_models_are(machine: Machine) -> None:
    """And as long as they load it is given time, beyond TimeoutStartSec."""
    drop_in = machine.path("/run/systemd/system/edged.service.d")
    drop_in.mkdir(parents=True)
    (drop_in / "short.conf").write_text("[Service]\nTimeoutStartSec=2\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "stop", "edged.socket", "edged.service")
    machine.run("systemctl", "start", "--no-block", "edged.service")
    pid = wait_for(lambda: main_pid(machine))
    (fork_server,) = wait_for(lambda: programs(machine, pid))
    machine.kill(fork_server, "STOP")
    try:
        for _ in range(8):
            assert machine.show("ActiveState") == "activating"
            time.sleep(0.5)
    finally:
        machine.kill(fork_server, "CONT")
    wait_for(lambda: machine.show("ActiveState") == "active")
    assert main_pid(machine) == pid
    client = Client(machine)
    assert client.get("/readyz") == 200
    client.close()
    shutil.rmtree(drop_in)
    machine.run("systemctl", "daemon-reload")


def programs(machine: Machine, pid: int) -> List[int]:
    """Its children that run a program of their own."""
    named = {child: machine.path(f"/proc/{child}/cmdline") for child in machine.children(pid)}
    return [child for child, path in named.items() if b"edged.worker.zygote" in path.read_bytes()]


def test_killed_it_is_back(machine: Machine) -> None:
    before = main_pid(machine)
    killed = time.monotonic()
    machine.kill(before, "KILL")
    client = Client(machine)
    assert client.post().status == 200  # it waited in the socket that systemd holds
    answered = time.monotonic()
    client.close()
    wait_replaced(machine, before)
    started, ready = (
        since(machine, "ExecMainStart") - killed,
        since(machine, "ActiveEnter") - killed,
    )
    print(f"\nafter kill -9: started {started:.2f} s, ready {ready:.2f} s, answered ", end="")
    print(f"{answered - killed:.2f} s")
    assert 0 < started < 2
    assert started < ready < 30  # it loads its engine and its models


def test_one_that_stands_still_is_replaced(machine: Machine) -> None:
    before = main_pid(machine)
    stopped = time.monotonic()
    machine.kill(before, "STOP")
    client = Client(machine)
    assert client.post().status == 200
    client.close()
    wait_replaced(machine, before)
    print(f"\nready {since(machine, 'ActiveEnter') - stopped:.2f} s after SIGSTOP")
    assert "Watchdog timeout" in machine.run("journalctl", "--unit=edged.service").stdout


def test_a_restart_under_load_loses_nothing(machine: Machine) -> None:
    patient(machine)
    before = main_pid(machine)
    with Load(machine) as load:
        machine.run("systemctl", "restart", "edged.service")
    load.check()
    assert main_pid(machine) != before


def patient(machine: Machine) -> None:
    """A slow machine is no reason to refuse a request."""
    with machine.path(CONFIG).open("a") as config:
        config.write("deadline: 100\n")
    machine.run("systemctl", "restart", "edged.service")


def test_an_upgrade_that_cannot_be_built_changes_nothing(machine: Machine) -> None:
    broken = copy_source(machine, "broken")
    with (broken / "setup.cfg").open("a") as configuration:
        configuration.write("[options.extras_require]\n")  # a section for the second time
    before = main_pid(machine), release(machine)
    assert "the one that runs goes on" in install(machine, "broken", check=False)
    assert (main_pid(machine), release(machine)) == before
    assert len(list(machine.path("/opt/edged").glob("venv.*"))) == 1


def test_an_upgrade_that_does_not_start_is_taken_back(machine: Machine) -> None:
    """With its configuration, in which the one before would not know every setting."""
    mine = machine.path(CONFIG).read_text()
    shipped = (ROOT / "systemd" / "edged.yaml").read_text()
    machine.path(CONFIG).write_text(shipped)
    wrong = copy_source(machine, "wrong")
    with (wrong / "systemd" / "edged.yaml").open("a") as config:
        config.write("of_tomorrow: 1\n")
    unit = wrong / "systemd" / "edged.service"
    unit.write_text(unit.read_text().replace("serve --config", "serve --prot --config"))
    before = release(machine)
    assert "the one before it runs again" in install(machine, "wrong", check=False)
    assert release(machine) == before
    assert machine.show("ActiveState") == "active"
    assert machine.path(CONFIG).read_text() == shipped
    machine.path(CONFIG).write_text(mine)
    machine.run("systemctl", "restart", "edged.service")


def test_a_vendors_paddle_lite_is_found(machine: Machine) -> None:
    """Here one that says no more than that it is there."""
    uname = machine.path("/usr/local/bin/uname")
    uname.write_text("#!/bin/sh\necho aarch64\n")
    uname.chmod(0o755)
    vendors = machine.path("/usr/local/lib/python3.11/dist-packages/paddlelite")
    vendors.mkdir(parents=True)
    (vendors / "__init__.py").write_text("raise ImportError('the vendor was here')\n")
    copy_source(machine, "vendors")
    try:
        said = install(machine, "vendors", check=False)
    finally:
        uname.unlink()
        shutil.rmtree(vendors)
    assert "the vendor was here" in said
    assert "does not serve a model here, see above; the one that runs goes on" in said


def test_an_upgrade_under_load_loses_nothing(machine: Machine) -> None:
    second = copy_source(machine, "second")
    code = second / "edged" / "__init__.py"
    code.write_text(re.sub(r'__version__ = ".*"', '__version__ = "99.0"', code.read_text()))
    with (second / "systemd" / "edged.yaml").open("a") as config:
        config.write("# news\n")
    mine = machine.path(CONFIG).read_text()
    before = main_pid(machine)
    with Load(machine) as load:
        said = install(machine, "second")
    load.check()
    assert main_pid(machine) != before
    assert "99.0" in machine.run("/usr/local/bin/edged", "--version").stdout
    assert len(list(machine.path("/opt/edged").glob("venv.*"))) == 1
    # The configuration had been changed by hand.
    assert machine.path(CONFIG).read_text() == mine
    assert machine.path(f"{CONFIG}.new").read_text().endswith("# news\n")
    assert f"{CONFIG}.new" in said


@pytest.mark.parametrize("verb", ["daemon-reload", "restart"])
def test_an_upgrade_that_is_killed_is_finished_by_the_next(machine: Machine, verb: str) -> None:
    """Once the new venv has taken its place: before systemd knows the new units, and after."""
    name = f"killed-{verb}"
    socket = copy_source(machine, name) / "systemd" / "edged.socket"
    socket.write_text(socket.read_text().replace("Where edged listens", name))
    before = release(machine), machine.show("ActiveEnterTimestamp", SOCKET)
    systemctl = machine.path("/usr/local/sbin/systemctl")
    systemctl.write_text(
        f'#!/bin/sh\n[ "$1" != {verb} ] || {{ kill -KILL $PPID; exit; }}\n'
        'exec /usr/bin/systemctl "$@"\n'
    )
    systemctl.chmod(0o755)
    try:
        machine.run(f"/srv/sources/{name}/scripts/install", check=False)
    finally:
        systemctl.unlink()
    left = release(machine)
    assert left != before[0]
    assert "edged is ready" in install(machine, name)
    assert release(machine) == left
    assert machine.show("Description", SOCKET) == name
    assert machine.show("ActiveEnterTimestamp", SOCKET) != before[1]
    running = machine.path(f"/proc/{main_pid(machine)}/cmdline").read_text()
    assert running.startswith(f"/opt/edged/{left}/")
    assert [path.name for path in machine.path("/opt/edged").glob("venv.*")] == [left]
    assert "as it should be" in install(machine, name)


def test_after_a_reboot_it_is_there(machine: Machine) -> None:
    machine.reboot()
    client = Client(machine)
    assert client.post().status == 200
    client.close()
    assert machine.show("ActiveState") == "active"


def test_uninstalled_it_leaves_its_state_and_nothing_else(machine: Machine) -> None:
    machine.path(DROP_INS).mkdir(parents=True)
    (machine.path(DROP_INS) / "mine.conf").write_text("[Service]\nNice=1\n")
    mine = machine.path(CONFIG).read_text()
    said = install(machine, "second", "--uninstall")
    assert "/var/lib/edged is left" in said
    names = ["-name", "*edged*", "-not", "-path", "/var/lib/edged*", "-not", "-path", "/srv/*"]
    assert machine.run("find", "/", "-xdev", *names).stdout == ""
    assert machine.run("find", "/run", *names).stdout == ""
    assert not machine.path("/usr/local/lib/systemd").exists()
    assert machine.run("systemctl", "list-units", "--all", "edged*").stdout.count("edged") == 0
    assert machine.run("getent", "passwd", "edged", check=False).returncode == 2
    state = machine.path("/var/lib/edged")
    assert state.stat().st_mode & 0o777 == 0o700
    assert state.stat().st_uid == 0
    assert (state / "models" / "digits" / "model.yaml").is_file()
    assert (state / "state" / "keys.sqlite").is_file()
    assert (state / "edged.yaml").read_text() == mine
    assert (state / "edged.service.d" / "mine.conf").is_file()
    install(machine, "second", "--uninstall")  # once more does no harm


def test_installed_again_it_goes_on_from_there(machine: Machine) -> None:
    install(machine, "second")
    client = Client(machine)
    assert client.post().status == 200
    client.close()
    assert "shop" in machine.run("/usr/local/bin/edged", "keys", "list").stdout
    assert not machine.path("/var/lib/edged/models/print").exists()
