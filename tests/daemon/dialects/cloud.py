"""What the tests of Baidu's cloud dialects share: routes, answers read by the contract's rules."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Union
from urllib.parse import urlencode

from edged.keys import NewKey
from tests.daemon.contract import Json, json_body
from tests.support import Answer, RunningDaemon, wait_for

OCR = "/rest/2.0/ocr/v1/"
TOKEN = "/oauth/2.0/token"
CLOUD = ("/rpc/2.0/ai_custom/v1", "/rpc/2.0/ai_custom_bml/v1")
LOCAL_NAMES = {
    "classification": "ImageClassification",
    "detection": "ObjectDetection",
    "segmentation": "ImageSegmentation",
}
JSON_TYPE = {"Content-Type": "application/json"}
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}

# JavaScript's numbers are exact below it.
_MOST_LOG_ID = 2**53


class Model(NamedTuple):
    """A model that is served, and a picture in which it sees something."""

    name: str
    mid: int
    task: str
    image: bytes

    @property
    def local(self) -> str:
        return f"/{self.name}/{LOCAL_NAMES[self.task]}"

    def cloud(self, token: str, prefix: str = CLOUD[0]) -> str:
        return f"{prefix}/{self.task}/{self.name}?access_token={token}"


def model_in(models: Path, folder: str, name: str, mid: int, task: str) -> Model:
    return Model(name, mid, task, (models / folder / "sample.jpg").read_bytes())


def text_of(image: bytes) -> str:
    return base64.b64encode(image).decode()


def content_of(daemon: RunningDaemon, answer: Answer) -> Json:
    """By what holds of every answer: HTTP 200, JSON, a log_id that the daemon's log has too."""
    assert answer.status == 200, answer
    assert answer.headers["content-type"].startswith("application/json")
    content: Json = answer.json
    log_id = content["log_id"]
    assert type(log_id) is int
    assert 0 <= log_id < _MOST_LOG_ID
    lines = wait_for(lambda: re.findall(rf".* log_id={log_id}\b.*", daemon.log()))
    assert len(lines) == 1
    assert f" code={content.get('error_code', 0)} " in lines[0]
    return content


def ask(
    daemon: RunningDaemon,
    path: str,
    body: Union[bytes, Json],
    headers: Optional[Dict[str, str]] = None,
) -> Json:
    """What the daemon answers to a POST of bytes, or of an object as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return content_of(daemon, daemon.post(path, sent, headers))


def found(content: Json) -> List[Json]:
    """The results. AssertionError unless the answer is a success."""
    assert set(content) == {"log_id", "results"}, content
    results: List[Json] = content["results"]
    return results


def words(content: Json) -> List[str]:
    """The lines that were read. AssertionError unless the answer is a success."""
    assert set(content) == {"log_id", "words_result_num", "words_result"}, content
    assert content["words_result_num"] == len(content["words_result"])
    return [line["words"] for line in content["words_result"]]


def refused(content: Json) -> int:
    """The code of an error. AssertionError unless the answer is one."""
    assert set(content) == {"log_id", "error_code", "error_msg"}, content
    assert isinstance(content["error_msg"], str)
    code: int = content["error_code"]
    return code


def see(daemon: RunningDaemon, model: Model, **fields: object) -> List[Json]:
    """What the model sees in its picture, by the local route."""
    return found(ask(daemon, model.local, json_body(model.image, **fields)))


def token_of(daemon: RunningDaemon, key: NewKey) -> str:
    """A token, as soon as the daemon knows of the key."""
    query = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": key.api_key,
            "client_secret": key.secret_key,
        }
    )

    def issued() -> str:
        answer = daemon.request("GET", f"{TOKEN}?{query}")
        return str(answer.json["access_token"]) if answer.status == 200 else ""

    return str(wait_for(issued))
