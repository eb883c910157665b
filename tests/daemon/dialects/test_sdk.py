"""Baidu's own SDKs, for Python and for Node: nothing of them is changed but the host."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Type

import aip
import pytest

from edged.keys import KeyStore, NewKey, Rules
from tests.daemon.contract import plain
from tests.daemon.dialects.cloud import (
    CLOUD,
    Model,
    found,
    refused,
    see,
    text_of,
    token_of,
    words,
)
from tests.support import RunningDaemon

HOST = "https://aip.baidubce.com"
NODE = Path(__file__).parent / "node"
OF_THE_CLOUD = "24.6c5e1ff107f0e8bcef8c46d3424a0e78.2592000.1485516651.282335-8574074"
A_MONTH = 2592000
READ = "hello12345world"

Make = Callable[..., Any]


@pytest.fixture
def make(key: NewKey, token: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes clients of a class of the SDK for a daemon, with the session's key or another.

    With a token issued, the daemon knows the session's key.
    """
    clients: List[Any] = []

    def client(kind: Type[Any], daemon: RunningDaemon, credentials: NewKey = key) -> Any:
        for one in kind.__mro__:
            for name, value in list(vars(one).items()):
                if isinstance(value, str) and value.startswith(HOST):
                    monkeypatch.setattr(one, name, value.replace(HOST, daemon.url))
        made = kind("app", credentials.api_key, credentials.secret_key)
        clients.append(made)
        return made

    yield client
    for made in clients:
        made.s.close()


# -- Python


@pytest.mark.parametrize("call", ["basicAccurate", "basicGeneral", "accurate", "general"])
def test_it_reads(reader: RunningDaemon, make: Make, hello: bytes, call: str) -> None:
    content = getattr(make(aip.AipOcr, reader), call)(hello)
    (line,) = words(content)
    assert plain(line) == READ
    assert all(("location" in line) == (call[0] in "ag") for line in content["words_result"])


def test_it_reads_with_options(reader: RunningDaemon, make: Make, hello: bytes) -> None:
    client = make(aip.AipOcr, reader)
    options = {"language_type": "GER", "detect_direction": "true", "probability": "true"}
    assert len(words(client.basicAccurate(hello, options))) == 1
    assert refused(client.basicAccurate(hello, {"language_type": "JAP"})) == 336001
    assert refused(client.basicAccurate(b"no picture")) == 336005
    assert refused(client.basicAccurateUrl("http://example.com/a.jpg")) == 336006
    assert refused(client.handwriting(hello)) == 3


@pytest.mark.parametrize("prefix", CLOUD)
def test_it_predicts(
    daemon: RunningDaemon, make: Make, cameras: Model, digits: Model, prefix: str
) -> None:
    client, url = make(aip.EasyDL, daemon), daemon.url + prefix
    classes = client.predictImage(f"{url}/classification/camera-check", cameras.image)
    assert found(classes) == see(daemon, cameras)
    classes = client.predictImage(
        f"{url}/classification/camera-check", cameras.image, {"top_num": 2}
    )
    assert len(found(classes)) == 2
    boxes = client.predictImage(f"{url}/detection/digits", digits.image, {"threshold": 0.3})
    assert found(boxes) == see(daemon, digits, threshold=0.3)
    assert refused(client.predictImage(f"{url}/detection/nothing", digits.image)) == 3
    assert refused(client.predictSound(f"{url}/detection/digits", b"sound")) == 336006


# Without a token the SDK signs its requests, by a clock that is deprecated.
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow")
@pytest.mark.parametrize("kind", [aip.AipOcr, aip.EasyDL])
def test_wrong_credentials(
    daemon: RunningDaemon, make: Make, key: NewKey, token: str, hello: bytes, kind: Type[Any]
) -> None:
    for wrong, description in [
        (key._replace(api_key="nobody"), "unknown client id"),
        (key._replace(secret_key="wrong"), "Client authentication failed"),
    ]:
        client = make(kind, daemon, wrong)
        answer = client._auth()
        assert (answer["error"], answer["error_description"]) == ("invalid_client", description)
        if kind is aip.AipOcr:
            assert refused(client.basicAccurate(hello)) == 100


def test_a_token_of_the_cloud_is_renewed(reader: RunningDaemon, make: Make, hello: bytes) -> None:
    client = make(aip.AipOcr, reader)
    now = int(time.time())
    client._authObj = {"access_token": OF_THE_CLOUD, "expires_in": A_MONTH, "time": now}
    client._isCloudUser = False
    assert len(words(client.basicAccurate(hello))) == 1
    assert client._authObj["access_token"] != OF_THE_CLOUD


def test_a_token_of_the_secret_before_is_renewed(
    daemon: RunningDaemon, make: Make, state: Path, cameras: Model
) -> None:
    url = f"{daemon.url}{CLOUD[0]}/classification/camera-check"
    with closing(KeyStore(state)) as store:
        key = store.create("rotated", Rules())
        token_of(daemon, key)
        old = make(aip.EasyDL, daemon, key)
        assert found(old.predictImage(url, cameras.image))
        new = store.rotate("rotated")
    token_of(daemon, new)
    client = make(aip.EasyDL, daemon, new)
    client._authObj, client._isCloudUser = old._authObj, False
    assert found(client.predictImage(url, cameras.image))
    assert client._authObj["access_token"] != old._authObj["access_token"]


def test_a_token_is_renewed_before_it_expires(
    daemon: RunningDaemon, make: Make, cameras: Model
) -> None:
    url = f"{daemon.url}{CLOUD[0]}/classification/camera-check"
    client = make(aip.EasyDL, daemon)
    assert found(client.predictImage(url, cameras.image))
    first = client._authObj
    assert first["expires_in"] == A_MONTH
    assert found(client.predictImage(url, cameras.image))
    assert client._authObj is first
    first["time"] -= A_MONTH - 20
    assert found(client.predictImage(url, cameras.image))
    assert client._authObj is not first


# -- Node


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(NODE / "package.json", folder)
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--prefer-offline"]
    quick = ["--omit=optional", "--ignore-scripts"]
    install = subprocess.run(
        [*command, *quick], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert install.returncode == 0, install.stderr
    return folder / "node_modules"


@pytest.fixture
def by_node(node_modules: Path, reader: RunningDaemon, key: NewKey, hello: bytes) -> Make:
    def run(*steps: Dict[str, object], secret: str = key.secret_key) -> Any:
        task = {"url": reader.url, "key": key.api_key, "secret": secret, "steps": steps}
        node = subprocess.run(
            ["node", str(NODE / "read.js")],
            input=json.dumps({**task, "image": text_of(hello)}),
            env={**os.environ, "NODE_PATH": str(node_modules)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert node.returncode == 0, node.stderr
        return json.loads(node.stdout)

    return run


def test_node_reads(by_node: Make) -> None:
    basic = [{"call": "accurateBasic"}, {"call": "generalBasic"}]
    options = {"language_type": "GER", "detect_direction": "true"}
    located = [{"call": "accurate"}, {"call": "general", "options": options}]
    done = by_node(*basic, *located)
    assert done["tokens"] == 1
    assert len(done["answers"]) == 4
    for content in done["answers"]:
        (line,) = words(content)
        assert plain(line) == READ
    assert ["location" in answer["words_result"][0] for answer in done["answers"]] == [
        False,
        False,
        True,
        True,
    ]


def test_node_reads_the_errors(by_node: Make) -> None:
    wrong = {"call": "accurateBasic", "options": {"language_type": "JAP"}}
    done = by_node(wrong, {"call": "handwriting"}, {"call": "accurateBasicUrl"})
    assert [refused(content) for content in done["answers"]] == [336001, 3, 336006]


def test_node_with_a_wrong_secret(by_node: Make) -> None:
    """It then signs its requests, as for another of Baidu's clouds."""
    (content,) = by_node({"call": "accurateBasic"}, secret="wrong")["answers"]
    assert refused(content) == 100


def test_node_with_a_token_of_the_cloud(by_node: Make) -> None:
    """This SDK hands 110 to its caller."""
    (content,) = by_node({"token": OF_THE_CLOUD}, {"call": "accurateBasic"})["answers"]
    assert refused(content) == 110


def test_node_renews_a_token_before_it_expires(by_node: Make) -> None:
    ask = {"call": "accurateBasic"}
    done = by_node(ask, ask, {"expire": True}, ask)
    assert [len(words(content)) for content in done["answers"]] == [1, 1, 1]
    assert done["tokens"] == 2
