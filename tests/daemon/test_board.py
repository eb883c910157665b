"""Heat and throttling, from trees as the kernel's documents describe /sys."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Tuple

import pytest

from edged.daemon.board import read_board
from edged.daemon.metrics import METRICS

TEMPERATURE, HERTZ = "edged_board_temperature_celsius", "edged_board_cpu_hertz"
LIMIT, COOLING = "edged_board_cpu_limit_ratio", "edged_board_cooling_ratio"
FIRMWARE = "edged_board_firmware_throttled"


def write(sys: Path, **files: object) -> None:
    """Files by their paths, with `__` for `/`."""
    for name, content in files.items():
        path = sys / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")


def test_a_machine_without_any_has_no_values(tmp_path: Path) -> None:
    read = read_board(tmp_path)
    assert set(read) == {metric.name for metric in METRICS if "_board_" in metric.name}
    assert not any(read.values())


def test_temperatures_are_thousandths_of_a_degree(tmp_path: Path) -> None:
    zone = {"temp": 48312, "type": "cpu-thermal"}
    write(tmp_path / "class/thermal/thermal_zone0", **zone)
    write(tmp_path / "class/thermal/thermal_zone1", temp=-5000, type="gpu-thermal")
    write(tmp_path / "class/thermal/thermal_zone2", temp="", type="off")
    assert read_board(tmp_path)[TEMPERATURE] == {
        ("thermal_zone0", "cpu-thermal"): 48.312,
        ("thermal_zone1", "gpu-thermal"): -5.0,
    }


def test_a_sensor_that_answers_with_an_error_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "class/thermal/thermal_zone0/temp").mkdir(parents=True)
    assert read_board(tmp_path)[TEMPERATURE] == {}


def test_cores_that_may_not_run_as_fast_as_they_can(tmp_path: Path) -> None:
    policies = tmp_path / "devices/system/cpu/cpufreq"
    write(
        policies / "policy0",
        scaling_cur_freq=600000,
        scaling_max_freq=900000,
        cpuinfo_max_freq=1800000,
    )
    write(
        policies / "policy4",
        scaling_cur_freq=2400000,
        scaling_max_freq=2400000,
        cpuinfo_max_freq=2400000,
    )
    read = read_board(tmp_path)
    assert read[HERTZ] == {("policy0",): 6e8, ("policy4",): 2.4e9}
    assert read[LIMIT] == {("policy0",): 0.5, ("policy4",): 1.0}


def test_cooling_devices(tmp_path: Path) -> None:
    devices = tmp_path / "class/thermal"
    write(devices / "cooling_device0", type="cpufreq-cpu0", cur_state=3, max_state=12)
    write(devices / "cooling_device1", type="pwm-fan", cur_state=0, max_state=4)
    write(devices / "cooling_device2", type="odd", cur_state=0, max_state=0)
    assert read_board(tmp_path)[COOLING] == {
        ("cooling_device0", "cpufreq-cpu0"): 0.25,
        ("cooling_device1", "pwm-fan"): 0.0,
    }


BITS: Dict[str, Tuple[int, int, int, int]] = {
    "0": (0, 0, 0, 0),
    "50005": (1, 0, 1, 0),
    "0x50000": (0, 0, 0, 0),  # it has been so; it is not now
    "e0008": (0, 0, 0, 1),
    "2": (0, 1, 0, 0),
}


@pytest.mark.parametrize("text", BITS)
def test_the_firmware_of_a_raspberry_pi(tmp_path: Path, text: str) -> None:
    write(tmp_path / "devices/platform/soc/soc:firmware", get_throttled=text)
    causes = ("under_voltage", "frequency_capped", "throttled", "soft_temperature_limit")
    assert read_board(tmp_path)[FIRMWARE] == {
        (cause,): bit for cause, bit in zip(causes, BITS[text])
    }
