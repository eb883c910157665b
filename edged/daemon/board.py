"""What the board's kernel says of heat and of what it does against it.

Sources: the kernel's documents of the thermal framework (sysfs-class-thermal) and of cpufreq
(pm/cpufreq.rst); the bits of `get_throttled`: Raspberry Pi's documentation of vcgencmd.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict

from edged.daemon.samples import Labels, Samples, read_number, read_text

_SYS = Path("/sys")
_FIRMWARE = "devices/platform/soc/soc:firmware/get_throttled"
_CAUSES = ("under_voltage", "frequency_capped", "throttled", "soft_temperature_limit")
"""Of the Raspberry Pi's bits from the lowest on."""


def read_board(sys: Path = _SYS) -> Samples:
    """What there is under `sys`; nothing of what there is not."""
    return {
        "edged_board_temperature_celsius": _temperatures(sys),
        **_frequencies(sys),
        "edged_board_cooling_ratio": _cooling(sys),
        "edged_board_firmware_throttled": _firmware(sys),
    }


def _temperatures(sys: Path) -> Dict[Labels, float]:
    values: Dict[Labels, float] = {}
    for zone in sorted(sys.glob("class/thermal/thermal_zone*")):
        thousandths = read_number(zone / "temp")
        if thousandths is not None:
            values[zone.name, read_text(zone / "type") or ""] = thousandths / 1000
    return values


def _frequencies(sys: Path) -> Samples:
    now: Dict[Labels, float] = {}
    limit: Dict[Labels, float] = {}
    for policy in sorted(sys.glob("devices/system/cpu/cpufreq/policy*")):
        kilohertz = read_number(policy / "scaling_cur_freq")
        if kilohertz is not None:
            now[policy.name,] = kilohertz * 1000
        most, possible = (
            read_number(policy / name) for name in ("scaling_max_freq", "cpuinfo_max_freq")
        )
        if most is not None and possible:
            limit[policy.name,] = most / possible
    return {"edged_board_cpu_hertz": now, "edged_board_cpu_limit_ratio": limit}


def _cooling(sys: Path) -> Dict[Labels, float]:
    values: Dict[Labels, float] = {}
    for device in sorted(sys.glob("class/thermal/cooling_device*")):
        state, most = (read_number(device / name) for name in ("cur_state", "max_state"))
        if state is not None and most:
            values[device.name, read_text(device / "type") or ""] = state / most
    return values


def _firmware(sys: Path) -> Dict[Labels, float]:
    bits = read_number(sys / _FIRMWARE, base=16)
    if bits is None:
        return {}
    return {(cause,): bits >> bit & 1 for bit, cause in enumerate(_CAUSES)}
