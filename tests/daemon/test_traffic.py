"""Many clients at once, and what becomes of them when the daemon stops."""

from __future__ import annotations

import gzip
import os
import signal
import socket
from typing import Callable, List

from tests.daemon.contract import BINARY, FORM, MULTIPART, Connection, Known, post_form
from tests.support import RunningDaemon, wait_for

MIB = 1 << 20


def test_an_upload_that_is_under_way_at_sigterm_is_answered(
    start_daemon: Callable[..., RunningDaemon], detector: Known
) -> None:
    daemon = start_daemon()
    path, image = f"{BINARY}?mid={detector.mid}", detector.image
    with Connection(daemon) as connection, Connection(daemon) as waiting:
        connection.head(path, f"Content-Length: {len(image)}\r\n")
        connection.send(image[:1000])
        assert daemon.request("GET", "/healthz").status == 200  # so the upload has begun
        daemon.process.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses(daemon))
        late = waiting.post(path, image)  # the first that this connection asks
        assert late.json["code"] == 0
        assert late.headers["connection"] == "close"
        connection.send(image[1000:])
        answer = connection.answer()
    assert answer.json["code"] == 0
    assert answer.headers["connection"] == "close"
    assert daemon.process.wait(30) == 0


def refuses(daemon: RunningDaemon) -> bool:
    try:
        socket.create_connection(("127.0.0.1", daemon.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_all_bodies_together_are_bounded(
    start_daemon: Callable[..., RunningDaemon], detector: Known
) -> None:
    daemon = start_daemon(max_body_mib=4, max_bodies_mib=6)
    path = f"{BINARY}?mid={detector.mid}"
    with Connection(daemon) as first, Connection(daemon) as second:
        for connection in (first, second):
            connection.head(path, f"Content-Length: {4 * MIB}\r\n")
            connection.send(bytes(4 * MIB - 1))
        # Whichever the daemon reads last is one too many.
        (late,) = wait_for(lambda: [one for one in (first, second) if one.readable(0)])
        refused = late.answer()
        assert (refused.status, refused.json["code"]) == (429, 336100)
        other = second if late is first else first
        other.send(b"\0")
        assert other.answer().json["code"] == 336005  # not a picture, but it was read
    # What was held is given back.
    assert daemon.post(path, detector.image).json["code"] == 0
    assert daemon.post(path, bytes(4 * MIB)).json["code"] == 336005


def test_a_body_with_a_content_encoding_is_refused(daemon: RunningDaemon, detector: Known) -> None:
    """A few MB of it may become gigabytes, on the loop, refused or not."""
    body = gzip.compress(detector.image)
    answer = daemon.post(f"{BINARY}?mid={detector.mid}", body, {"Content-Encoding": "gzip"})
    assert (answer.status, answer.json["code"]) == (400, 336001)
    assert "Content-Encoding" in answer.json["msg"]


def test_a_long_body_that_is_refused_ends_the_connection(
    daemon: RunningDaemon, detector: Known
) -> None:
    with Connection(daemon) as connection:
        connection.head(f"{BINARY}?mid=nothing", f"Content-Length: {2 * MIB}\r\n")
        connection.send(bytes(1000))
        answer = connection.answer()
    assert answer.json["code"] == 2001
    assert answer.headers["connection"] == "close"


def test_a_connection_outlives_the_refusal_of_a_picture(
    daemon: RunningDaemon, detector: Known
) -> None:
    """A client that tries again need not connect again: that costs more than reading on."""
    with Connection(daemon) as connection:
        connection.head(f"{BINARY}?mid=nothing", "Content-Length: 400000\r\n")
        connection.send(bytes(1000))
        answer = connection.answer()
        assert answer.json["code"] == 2001
        assert "connection" not in answer.headers
        connection.send(bytes(399_000))
        assert connection.post(f"{BINARY}?mid={detector.mid}", detector.image).json["code"] == 0


def test_mids_of_many_megabytes_are_refused_unread(daemon: RunningDaemon, detector: Known) -> None:
    answer = post_form(daemon, detector.image, "1," * (4 * MIB) + "1")
    assert (answer.status, answer.json["code"]) == (400, 336001)
    assert "4194305" in answer.json["msg"]


def test_an_empty_form_lacks_its_image(daemon: RunningDaemon) -> None:
    answer = daemon.post(MULTIPART, b"", FORM)
    assert (answer.status, answer.json["code"]) == (400, 336006)


def test_the_url_of_an_ipv6_address_has_its_brackets(
    start_daemon: Callable[..., RunningDaemon],
) -> None:
    daemon = start_daemon(listen="[::1]:0", wait=False)
    said: List[str] = wait_for(lambda: [w for w in daemon.log().split() if w.startswith("http")])
    assert said[0].startswith("http://[::1]:")


def test_whoever_leaves_right_behind_a_large_picture_is_not_served(
    start_daemon: Callable[..., RunningDaemon], detector: Known
) -> None:
    """The end of the connection comes with the end of the body, in one turn of the loop."""
    daemon = start_daemon(deadline=300, run_timeout=300)
    for worker in daemon.model(detector.mid)["workers"]:
        os.kill(worker, signal.SIGSTOP)
    body = detector.image + bytes(400_000)
    for _ in range(20):
        with Connection(daemon) as connection:
            connection.head(f"{BINARY}?mid={detector.mid}", f"Content-Length: {len(body)}\r\n")
            connection.send(body)
    wait_for(lambda: daemon.model(detector.mid)["counters"]["queued"] == 0)
    for worker in daemon.model(detector.mid)["workers"]:
        os.kill(worker, signal.SIGCONT)
