"""The document's three example clients, in words of our own: they must work as they are.

Only address, picture and mid are filled in. What is odd about them is on purpose: so
they were printed, and so people have copied them.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
import requests

from tests.daemon.contract import BINARY, Json, Known, results
from tests.support import RunningDaemon


@pytest.fixture(scope="module")
def expected(daemon: RunningDaemon, detector: Known) -> List[Json]:
    return results(daemon.post(f"{BINARY}?mid={detector.mid}", detector.image))


@pytest.fixture(scope="module")
def photo(detector: Known, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("client") / "1.jpg"
    file.write_bytes(detector.image)
    return file


def base64_client(address: str, photo: Path, mid: int) -> Dict[str, Any]:
    with open(photo, "rb") as file:
        text = base64.b64encode(file.read()).decode("utf8")
    data = json.dumps({"image": text, "show": "False"}).encode("utf-8")  # text, so no picture
    reply = requests.post(
        f"http://{address}/api/model/service/base64?mid={mid}",
        data=data,
        headers={"Content-Type": "application/json"},
    )
    answer: Dict[str, Any] = json.loads(reply.text)
    return answer


def binary_client(address: str, photo: Path, mid: int) -> Dict[str, Any]:
    """The headers stand where `requests` takes a JSON body, which `data` overrules."""
    with open(photo, "rb") as file:
        data = file.read()
    headers = {"Content-Type": "image/jpeg", "Content-Length": str(len(data))}
    url = f"http://{address}/api/model/service/binary?mid={mid}?show=0"
    reply = requests.post(url, data, headers)
    assert "Content-Type" not in reply.request.headers
    answer: Dict[str, Any] = json.loads(reply.content)
    return answer


def multipart_client(address: str, photo: Path, mid: int) -> Dict[str, Any]:
    with open(photo, "rb") as file:
        reply = requests.post(
            f"http://{address}/api/model/service/multipart?show=0",
            data={"mids": f"[{mid}]"},
            files={"file": (photo.name, file, "image/jpg")},
        )
    answer: Dict[str, Any] = reply.json()
    return answer


def test_base64_client(
    daemon: RunningDaemon, detector: Known, photo: Path, expected: List[Json]
) -> None:
    answer = base64_client(f"127.0.0.1:{daemon.port}", photo, detector.mid)
    assert answer == {"code": 0, "data": {"result": expected}, "msg": "success"}


def test_binary_client(
    daemon: RunningDaemon, detector: Known, photo: Path, expected: List[Json]
) -> None:
    answer = binary_client(f"127.0.0.1:{daemon.port}", photo, detector.mid)
    assert answer == {"code": 0, "data": {"result": expected}, "msg": "success"}


def test_multipart_client(
    daemon: RunningDaemon, detector: Known, photo: Path, expected: List[Json]
) -> None:
    answer = multipart_client(f"127.0.0.1:{daemon.port}", photo, detector.mid)
    entry = {"model_id": detector.mid, "result": expected}
    assert answer == {"code": 0, "data": [entry], "msg": "success"}


def test_v1_clients(
    daemon: RunningDaemon, detector: Known, photo: Path, expected: List[Json]
) -> None:
    """The older page's: other routes, and `mids` without brackets."""
    url = f"{daemon.url}/api"
    text = base64.b64encode(photo.read_bytes()).decode()
    mid = {"mid": detector.mid}
    as_json = requests.post(f"{url}/http", params=mid, json={"base64_img": text}).json()
    assert as_json["data"]["result"] == expected
    with open(photo, "rb") as file:  # streams from the file
        as_bytes = requests.post(f"{url}/image", params={**mid, "image": 1}, data=file).json()
    assert as_bytes["data"]["result"] == expected
    assert as_bytes["data"]["image"]
    fields, files = {"mids": str(detector.mid)}, {"file": photo.read_bytes()}
    as_form = requests.post(f"{url}/multipart", data=fields, files=files).json()
    assert as_form["data"][0]["result"] == expected


def test_one_session_keeps_its_connection(
    daemon: RunningDaemon, detector: Known, expected: List[Json]
) -> None:
    """As a camera does, with failures in between."""
    url = f"{daemon.url}{BINARY}"
    with requests.Session() as session:
        for _ in range(3):
            assert session.post(url, detector.image).status_code == 400
            answer = session.post(url, detector.image, params={"mid": detector.mid})
            assert answer.json()["data"]["result"] == expected
