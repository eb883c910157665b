"""The `.nb` header, against files that Paddle Lite wrote and files written by hand."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Sequence

import pytest

from edged.errors import EngineError
from edged.worker.engines import nb
from tests.worker.engines.conftest import run_python

X86 = ("conv2d/def/2/1/1", "feed/def/1/4/2")
ARM = ("conv2d/def/4/1/1", "fc/int8_out/4/2/1", "feed/def/1/4/2")


def write_nb(path: Path, kernels: Sequence[str], meta: int = 2, params: Sequence[int] = ()) -> Path:
    """As Paddle Lite lays it out, with kernels' keys for a topology; `params` are sizes."""
    topology = b"\0" * 8
    for key in kernels:
        topology += struct.pack("<I", len(key)) + key.encode() + b"\0"
    data = struct.pack("<H16sQ", meta, b"v2.12\0junk", len(topology)) + topology
    data += struct.pack("<HHHHI", 0, 0, 6, len(params), max(params, default=0))
    for size in params:
        data += struct.pack("<II", size + 4, 4) + b"\1" * size
    path.write_bytes(data)
    return path


def test_reads_what_a_file_for_arm_says(exported: Path) -> None:
    header = nb.read(str(exported / "wrong_target" / "picodet_xs_320_coco_arm.nb"))
    assert header == nb.NbHeader(2, "v2.12", ("ARM",), ("fp32", "any"))
    header = nb.read(str(exported / "easyedge_ocr_res" / "model"))
    assert header == nb.NbHeader(2, "v2.10", ("ARM",), ("fp32", "int8", "any"))


def test_refuses_a_real_file_for_arm_here(exported: Path) -> None:
    path = str(exported / "wrong_target" / "picodet_xs_320_coco_arm.nb")
    with pytest.raises(EngineError, match=r"arm\.nb is made for ARM, this machine is x86-64"):
        nb.check(path, "x86_64")
    nb.check(path, "aarch64")


def test_the_trap_a_file_for_another_machine_loads_and_then_fails(exported: Path) -> None:
    pytest.importorskip("paddlelite")
    if nb.host_target() != "x86":
        pytest.skip("the file is made for this machine")
    code = """
import sys, numpy as np
from paddlelite import lite
config = lite.MobileConfig()
config.set_model_from_file(sys.argv[1])
predictor = lite.create_paddle_predictor(config)
for index, shape in enumerate([(1, 3, 320, 320), (1, 2)]):
    predictor.get_input(index).from_numpy(np.ones(shape, "float32"))
print("LOADED", flush=True)
predictor.run()
sys.exit(0 if np.isfinite(predictor.get_output(0).numpy()).all() else 9)
"""
    path = exported / "wrong_target" / "picodet_xs_320_coco_arm.nb"
    result = run_python(code, path)
    assert "LOADED" in result.stdout
    assert result.returncode != 0


@pytest.mark.parametrize(
    ("kernels", "machine", "reason"),
    [
        (ARM, "x86_64", "made for ARM, this machine is x86-64"),
        (X86, "aarch64", "made for x86, this machine is aarch64"),
        (X86, "armv7l", "made for x86, this machine is armv7l"),
        ((*ARM, "conv2d/def/5/5/3"), "x86_64", "made for ARM and OpenCL"),
        (("conv2d/def/44/1/1",), "aarch64", r"made for unknown \(44\)"),
        (X86, "riscv64", "no kernels for this machine, riscv64"),
    ],
)
def test_refuses_another_machine(
    tmp_path: Path, kernels: Sequence[str], machine: str, reason: str
) -> None:
    with pytest.raises(EngineError, match=reason):
        nb.check(str(write_nb(tmp_path / "a.nb", kernels)), machine)


@pytest.mark.parametrize(
    ("kernels", "machine"),
    [
        (X86, "x86_64"),
        (ARM, "aarch64"),
        (ARM, "armv7l"),
        (("scale/def/1/1/1",), "x86_64"),  # plain C++, runs anywhere
        (("scale/def/1/1/1",), "aarch64"),
        ((*ARM, "conv2d/def/5/5/3"), "aarch64"),  # a vendor's build may have OpenCL
    ],
)
def test_accepts_this_machine(tmp_path: Path, kernels: Sequence[str], machine: str) -> None:
    nb.check(str(write_nb(tmp_path / "a.nb", kernels)), machine)


def test_a_variable_named_like_a_kernel_does_not_count(tmp_path: Path) -> None:
    path = write_nb(tmp_path / "a.nb", [*X86, "scope/conv2d/def/4/1/1"])
    assert nb.read(str(path)).targets == ("x86",)


def test_meta_versions(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="meta version 0, Paddle Lite reads 1 and 2"):
        nb.check(str(write_nb(tmp_path / "a.nb", X86, meta=0)), "x86_64")
    for meta in (1, 2):
        path = write_nb(tmp_path / "a.nb", X86, meta=meta)
        assert nb.check(str(path), "x86_64").meta_version == meta
    with pytest.raises(EngineError, match=r"not an \.nb model"):
        nb.check(str(write_nb(tmp_path / "a.nb", X86, meta=3)), "x86_64")


def test_every_cut_is_seen(tmp_path: Path) -> None:
    whole = write_nb(tmp_path / "a.nb", X86, params=(40, 1, 300)).read_bytes()
    cut = tmp_path / "cut.nb"
    for size in range(len(whole)):
        cut.write_bytes(whole[:size])
        with pytest.raises(EngineError, match=r"cut short|not an \.nb model"):
            nb.read(str(cut))
    cut.write_bytes(whole)
    nb.read(str(cut))


def test_a_cut_topology_is_seen_in_the_older_layout(tmp_path: Path) -> None:
    path = write_nb(tmp_path / "a.nb", X86, meta=1)
    topology_end = path.read_bytes().index(b"feed/def/1/4/2") + len("feed/def/1/4/2")
    path.write_bytes(path.read_bytes()[:topology_end])
    with pytest.raises(EngineError, match="cut short"):
        nb.read(str(path))


@pytest.mark.parametrize("part", [0.05, 0.5, 0.999999])
def test_cuts_of_real_files_are_seen(exported: Path, tmp_path: Path, part: float) -> None:
    for path in (exported / "wrong_target").iterdir():
        whole = path.read_bytes()
        cut = tmp_path / "cut.nb"
        cut.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(EngineError, match=r"cut\.nb is cut short at \d+ bytes"):
            nb.read(str(cut))


@pytest.mark.parametrize(
    "content", [b"", b"\2\0", b"# a text that is no model\n" * 9, b"\2\0" * 99]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"^model is (not an \.nb model|cut short)"):
        nb.read(str(path))


def test_a_file_without_kernels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="names no kernels"):
        nb.read(str(write_nb(tmp_path / "a.nb", [])))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"cannot read a\.nb: No such file"):
        nb.read(str(tmp_path / "a.nb"))


@pytest.mark.parametrize(
    ("machine", "target"),
    [("x86_64", "x86"), ("i686", "x86"), ("aarch64", "arm"), ("armv7l", "arm")],
)
def test_host_target(machine: str, target: str) -> None:
    assert nb.host_target(machine) == target
