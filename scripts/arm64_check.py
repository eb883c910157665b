"""Serves the demo models by scripts/serve and compares what clients get with the known answers.

    .venv/bin/python -m scripts.arm64_check [FOLDER]

FOLDER receives the drawn pictures. Where ../shared/fixtures is there, PicoDet is served
too. `scripts/test-arm64` runs this under emulation, so its patience is long; it runs on
any machine where edged is installed.
"""

from __future__ import annotations

import http.client
import io
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional

import msgspec
import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from edged.registry.sample import Expected, Sample, Tolerance
from edged.results import Result
from tests.daemon.contract import (
    BASE64,
    BINARY,
    FORM,
    MSGPACK,
    MULTIPART,
    Json,
    corners,
    form,
    json_body,
    picture,
    results,
)
from tests.support import DEMO_MODELS, FIXTURES, ROOT, Answer, alive

_PATIENCE = 600
_FLAGS = ["--listen=127.0.0.1:0", "--deadline=300", "--run-timeout=300", "--memory-mib=4096"]
# What Paddle Lite answers on x86-64, and what a reference implementation does.
_DEMO, _GOLDEN = Tolerance(0.001, 0.1, 0.0), Tolerance(0.005, 0.5, 0.0)
_PICODET, _PHOTO = "picodet_xs_320_coco", "bus.jpg"


class Case(NamedTuple):
    """A picture and what a model must see in it."""

    name: str
    mid: int
    image: bytes
    expected: List[Json]
    tolerance: Tolerance


# ---- what is known ------------------------------------------------------------------------------


def demo_case(folder: Path) -> Case:
    mid = yaml.safe_load((folder / "model.yaml").read_text())["mid"]
    expected = json.loads((folder / "sample.json").read_text())["result"]
    return Case(folder.name, mid, (folder / "sample.jpg").read_bytes(), expected, _DEMO)


def picodet_case(mid: int) -> Case:
    golden = json.loads((FIXTURES / "golden.json").read_text())[f"{_PICODET}/{_PHOTO}"]
    description = yaml.safe_load((FIXTURES / "models" / _PICODET / "infer_cfg.yml").read_text())
    expected = [
        {
            "index": description["label_list"].index(label),
            "label": label,
            "score": score,
            "location": {"left": x1, "top": y1, "width": x2 - x1, "height": y2 - y1},
        }
        for label, score, x1, y1, x2, y2 in golden
    ]
    image = (FIXTURES / "photos" / _PHOTO).read_bytes()
    return Case(f"PicoDet on {_PHOTO}", mid, image, expected, _GOLDEN)


# ---- the daemon ---------------------------------------------------------------------------------


class Served(NamedTuple):
    port: int

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Optional[Dict[str, str]] = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def base64(self, case: Case) -> Answer:
        body = json_body(case.image, show=True)
        return self.request("POST", f"{BASE64}?mid={case.mid}", body)

    def binary(self, case: Case) -> Answer:
        return self.request("POST", f"{BINARY}?mid={case.mid}", case.image)

    def multipart(self, case: Case) -> Answer:
        """Asks for every model; the answer of the case's in the form of the others."""
        mids = [model["mid"] for model in self.models()]
        body = form(("file", case.image), ("mids", json.dumps(mids).encode()))
        answer = self.request("POST", MULTIPART, body, FORM)
        (entry,) = (data for data in answer.json["data"] if data["model_id"] == case.mid)
        return answer._replace(body=json.dumps({**answer.json, "data": entry}).encode())

    def models(self) -> List[Json]:
        listed: List[Json] = self.request("GET", "/api/models").json["data"]
        return listed


@contextmanager
def serving(models: Path) -> Iterator[Served]:
    """`scripts/serve` with the models loaded, ended when the block is."""
    command = [str(ROOT / "scripts" / "serve"), *_FLAGS, f"--models={models}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        try:
            assert daemon.stdout is not None
            announced = re.search(r"on http://[^:]+:(\d+)", daemon.stdout.readline())
            if announced is None:
                raise SystemExit("the daemon ended at once")
            served = Served(int(announced.group(1)))
            yield served
            workers = [pid for model in served.models() for pid in model["workers"]]
        finally:
            daemon.terminate()
    left = [pid for pid in workers if alive(pid)]
    assert (daemon.returncode, left) == (0, []), f"exit code {daemon.returncode}, {left} left"
    print("SIGTERM: exit code 0, no worker left")


# ---- the comparison -----------------------------------------------------------------------------


def compare(found: List[Json], case: Case) -> str:
    """What was found, in words. AssertionError when that is not what is known."""
    sample = Sample(case.image, tuple(msgspec.convert(case.expected, List[Expected])))
    seen = msgspec.convert(found, List[Result])
    difference = sample.difference(seen, tolerance=case.tolerance)
    assert difference is None, difference
    score, pixels, _ = case.tolerance
    return f"{len(found)} results, within {pixels} px and {score} of the known ones"


def compare_drawn(drawn: bytes, case: Case) -> str:
    """AssertionError unless `drawn` is the picture with the expected boxes' lines on it."""
    before, after = _pixels(case.image), _pixels(drawn)
    assert before.shape == after.shape, f"{after.shape} drawn on {before.shape}"
    changed = np.abs(before - after).max(axis=2) > 48
    share = changed.mean()
    assert 0.001 < share < 0.5, f"{share:.1%} of the pixels changed"
    if all(corners(thing)[2:] == (changed.shape[1], changed.shape[0]) for thing in case.expected):
        return f"{share:.0%} of its pixels drawn over"
    # A line is thin, and a box of the other engine may be some pixels off.
    near = np.asarray(Image.fromarray(changed).convert("L").filter(ImageFilter.MaxFilter(9))) > 0
    lined = min(_lined(near, _outline(thing)) for thing in case.expected if thing["score"] > 0.55)
    assert lined > 0.7, f"a box has only {lined:.0%} of its lines"
    return f"{share:.0%} of its pixels drawn over, {lined:.0%} of a box's lines at least"


def _pixels(image: bytes) -> NDArray[np.int16]:
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB")).astype(np.int16)


def _outline(thing: Json) -> NDArray[np.float64]:
    """(4, 2): the corners of its lines; those of a text may be slanted."""
    x1, y1, x2, y2 = corners(thing)
    upright = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
    return np.array(thing.get("extended", {}).get("quad", upright), np.float64)


def _lined(changed: NDArray[np.bool_], outline: NDArray[np.float64]) -> float:
    """The part of an outline's four lines along which the picture changed."""
    along = np.linspace(0, 1, 200)[:, None, None]
    points = outline + (np.roll(outline, -1, axis=0) - outline) * along
    x, y = np.rint(points.reshape(-1, 2)).astype(int).T
    height, width = changed.shape
    return float(changed[y.clip(0, height - 1), x.clip(0, width - 1)].mean())


# ---- the run ------------------------------------------------------------------------------------


def check(daemon: Served, case: Case, folder: Optional[Path]) -> None:
    posts: List[Callable[[Case], Answer]] = [daemon.base64, daemon.binary, daemon.multipart]
    for post in posts:
        began = time.monotonic()
        answer = post(case)
        seconds = time.monotonic() - began
        print(f"{case.name}, {post.__name__}: {compare(results(answer), case)}; {seconds:.1f} s")
    packed = daemon.request("POST", f"{BINARY}?mid={case.mid}&show=1", case.image, MSGPACK)
    content = msgspec.msgpack.decode(packed.body)
    drawn = picture(daemon.base64(case))
    assert content["data"]["image"] == drawn, "msgpack has another drawn picture than JSON"
    print(f"{case.name}, msgpack: {compare(content['data']['result'], case)}")
    print(f"{case.name}, drawn: {compare_drawn(drawn, case)}", flush=True)
    if folder:
        (folder / f"{case.mid}.jpg").write_bytes(drawn)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if folder:
        folder.mkdir(exist_ok=True)
    cases = [demo_case(sample.parent) for sample in sorted(DEMO_MODELS.glob("*/sample.jpg"))]
    with tempfile.TemporaryDirectory() as scratch:
        models = Path(scratch, "models")
        shutil.copytree(DEMO_MODELS, models)
        if (FIXTURES / "models" / _PICODET).is_dir():
            shutil.copytree(FIXTURES / "models" / _PICODET, models / f"10-{_PICODET}")
            cases.append(picodet_case(10))
        else:
            print(f"PicoDet: skipped, there is no {FIXTURES}")
        began = time.monotonic()
        with serving(models) as daemon:
            print(f"{platform.machine()}, Python {platform.python_version()}, ", end="")
            print(f"models loaded in {time.monotonic() - began:.0f} s")
            for model in daemon.models():
                assert model["state"] == "ready", model
                print(f"{model['name']}: ready on {model['engine']}")
            for case in cases:
                check(daemon, case, folder)


if __name__ == "__main__":
    main()
