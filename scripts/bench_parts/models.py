"""The networks, converted once: every contender loads the same `.nb`."""

from __future__ import annotations

import platform
import shutil
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import Any, Mapping, NamedTuple, Sequence

import yaml

from edged.registry.entry import look
from edged.registry.spec import ModelSpec
from scripts.bench_parts.lab import FIXTURES, ROOT, Lab, fingerprint, run
from scripts.bench_parts.names import MOBILENET, PICODET

_PICODET = FIXTURES / "models" / "picodet_xs_320_coco"
_EXPORT = Path(__file__).with_name("export.py")
_DEMO_DETECTOR = ROOT / "models" / "digits"


class Instance(NamedTuple):
    """A model as one daemon serves it; `changes` are lines of its model.yaml."""

    model: str
    changes: Mapping[str, Any] = MappingProxyType({})


def folder_of(lab: Lab, model: str) -> Path:
    """With `model.nb` for this machine and a whole `model.yaml`, made at the first use."""
    made = _made(lab, model)
    if not (made / "model.nb").exists():
        target = "x86" if platform.machine() == "x86_64" else "arm"
        convert = [lab.python("own"), "-m", "edged", "models", "convert", str(_source(lab, model))]
        convert += [f"--target={target}", f"--out={made}", f"--state={lab.path('state')}"]
        run(convert, lab.path("logs", f"convert-{model}.log"))
    return made


def _made(lab: Lab, model: str) -> Path:
    source = _EXPORT if model == MOBILENET else _detector() / "model.pdmodel"
    return lab.path("models", f"{model}-{fingerprint(source)}")


def _detector() -> Path:
    return _PICODET if _PICODET.exists() else _DEMO_DETECTOR


def _source(lab: Lab, model: str) -> Path:
    if model == PICODET:
        return _detector()
    folder = lab.path("exported", f"{model}-{fingerprint(_EXPORT)}")
    if not (folder / "model.yaml").exists():
        run(lab.module("export", folder, venv="export"), lab.path("logs", "export.log"))
    return folder


def detector_name() -> str:
    """What stands behind PICODET on this machine."""
    return "PicoDet-XS-320" if _PICODET.exists() else "the demo detector"


def needs_export(lab: Lab) -> bool:
    return not (_made(lab, MOBILENET) / "model.nb").exists()


def spec_of(folder: Path) -> ModelSpec:
    """Raises RuntimeError with the reason where edged does not serve it."""
    entry = look(folder)
    if entry.spec is None:
        raise RuntimeError(entry.reason)
    return entry.spec


def models_folder(lab: Lab, instances: Sequence[Instance]) -> Path:
    """A folder for one daemon: `instances` with mid 1, 2 and so on."""
    folder = Path(tempfile.mkdtemp(prefix="models-", dir=lab.path("run", "x").parent))
    for mid, instance in enumerate(instances, 1):
        source = folder_of(lab, instance.model)
        made = folder / f"{mid}-{instance.model}"
        shutil.copytree(source, made, ignore=shutil.ignore_patterns("sample.*"))
        document = yaml.safe_load((made / "model.yaml").read_text())
        document.update({"mid": mid, "name": f"{instance.model}-{mid}", **instance.changes})
        (made / "model.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return folder
