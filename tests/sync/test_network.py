"""Whatever the network does: requests stay bounded, nothing is lost, and the loop ends when it is told to."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncstore import Homeserver, Syncer, SyncStore
from syncstore.errors import UnknownTokenError
from syncstore.net import homeserver
from syncstore.sync import Status
from tests.account.readback import read
from tests.store.bodies import ME, ROOM, Responses
from tests.store.rich import first, second
from tests.sync.flaky import Fault, Flaky, http, reset, says, since_of

SECONDS, MOST = 2.0, 10


def _bodies() -> list[bytes]:
    responses = Responses()
    made = [first(responses.next()), second(responses.next())]
    made += [responses.next().data("m.x", {"n": n}) for n in range(3)]
    return [body.done() for body in made]


BODIES = _bodies()
LAST: str = json.loads(BODIES[-1])["next_batch"]
WHOLE = http(BODIES[1])
LIMITED = b'{"errcode": "M_LIMIT_EXCEEDED", "error": "slow down"%s}'
DAY = "Wed, 01 Jan 2020"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + BODIES[1][:64]


def limited(ms: object = None, *headers: str) -> Fault:
    told = b"" if ms is None else b', "retry_after_ms": ' + json.dumps(ms).encode()
    return says(http(LIMITED % told, "429 Too Many Requests", *headers))


def drip(head: bytes) -> Fault:
    """A byte now and then, for ever."""

    def fault(connection: socket.socket, target: str) -> bool:
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return fault


def flood(connection: socket.socket, target: str) -> bool:
    """Interim answers without end."""
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def silence(connection: socket.socket, target: str) -> bool:
    """Not a byte."""
    connection.settimeout(20)
    connection.recv(1)
    return False


def nothing_new(connection: socket.socket, target: str) -> bool:
    """An empty answer at once, however long it might have been held."""
    connection.sendall(http(json.dumps({"next_batch": since_of(target) or "s0"}).encode()))
    return True


FAULTS: dict[str, Fault] = {
    "closed": says(),
    "reset": reset,
    "no HTTP": says(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "502": says(http(b"<html>", "502 Bad Gateway")),
    "503 for a while": says(http(b"{}", "503 Unavailable", "Retry-After: 1")),
    "500": says(http(b'{"errcode": "M_UNKNOWN"}', "500 Internal Server Error")),
    "429": limited(),
    "429 with seconds": limited(None, "Retry-After: 1"),
    "429 with a date": limited(None, f"Retry-After: {DAY} 00:00:01 GMT", f"Date: {DAY} 00:00:00 GMT"),
    "429 with milliseconds": limited(700),
    "429 for ever": limited(10**15),
    "429 for 10^12 s": limited(None, "Retry-After: 1000000000000"),
    "429 for 10^400 s": limited(None, "Retry-After: 1" + "0" * 400),
    "429 for less than none": limited(-5, "Retry-After: -5"),
    "429 in words": limited("soon", "Retry-After: soon"),
    "429 at a date that is none": limited(None, "Retry-After: Mon, 99 Foo 99999 99:99:99 GMT"),
    "cut": says(WHOLE[:-40]),
    "length too short": says(http(BODIES[1], length=len(BODIES[1]) - 40)),
    "length too long": says(http(BODIES[1], length=len(BODIES[1]) + 40)),
    "length no number": says(WHOLE[:-40].replace(b"Content-Length: ", b"Content-Length: x")),
    "chunks cut": says(CHUNKED),
    "chunk size no number": says(CHUNKED.replace(b"40\r\n", b"zz\r\n")),
    "gzip broken": says(http(gzip.compress(BODIES[1])[:-9], "200 OK", "Content-Encoding: gzip")),
    "gzip bomb": says(http(gzip.compress(bytes(1 << 22)), "200 OK", "Content-Encoding: gzip")),
    "HTML": says(http(b"<html>Welcome to our hotel</html>")),
    "empty": says(http(b"")),
    "204": says(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "HTTP/1.0, empty": says(b"HTTP/1.0 200 OK\r\n\r\n"),
    "a login page first": says(http(b"", "302 Found", "Location: http://hotel.invalid/login")),
    "a proxy's 403": says(http(b"<html>", "403 Forbidden")),
    "511": says(http(b"<html>", "511 Network Authentication Required")),
    "no token": says(http(b'{"rooms": {}}')),
    "no JSON": says(http(b'{"next_batch": ]}')),
    "nothing new, at once": nothing_new,
    "no answer": silence,
    "head in drops": drip(b"HTTP/1.1 200 OK\r\nX: "),
    "body in drops": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{"),
    "interim answers": flood,
}


class Clock(threading.Event):
    """A stop event whose waits pass at once, and are added up. `when`: what to do once so many seconds have passed."""

    def __init__(self, seconds: float, when: Callable[[], object]) -> None:
        super().__init__()
        self.now = 0.0
        self.waits: list[float] = []
        self._seconds, self._when = seconds, when

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None and 0 <= timeout <= 3600
        self.waits.append(timeout)
        if self.now < self._seconds <= self.now + timeout:
            self._when()
        self.now += timeout
        return self.is_set()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long polls and large answers may take half a second here."""
    monkeypatch.setattr(homeserver, "POLL_MARGIN", 0.5)
    monkeypatch.setattr(homeserver, "WORK_SECONDS", 0.5)


@pytest.fixture
def flaky() -> Iterator[Flaky]:
    with Flaky(BODIES) as made:
        yield made


def until_last(store: SyncStore, stop: threading.Event) -> Callable[[object], None]:
    """An on_batch that stops the loop with the last body."""

    def stored(_: object) -> None:
        if store.token == LAST:
            stop.set()

    return stored


def undisturbed(folder: Path) -> object:
    with SyncStore.open(folder / "calm.db", user_id=ME) as store:
        for body in BODIES:
            store.apply(body)
        return read(store.path)


def endure(flaky: Flaky, path: Path, fault: Fault, seconds: float) -> tuple[int, list[Status], Clock]:
    """A first sync, the fault for so many seconds, then the rest: (requests meanwhile, what was told, the clock)."""
    told: list[Status] = []
    during: list[int] = []

    def heal() -> None:
        during.append(flaky.syncs - 1)
        flaky.fault = None

    clock = Clock(seconds, heal)
    with SyncStore.open(path, user_id=ME) as store, Homeserver(flaky.url, access_token="t", max_body=1 << 20) as server:

        def stored(_: object) -> None:
            if not during:
                flaky.fault = fault
            if store.token == LAST:
                clock.set()

        Syncer(server, store, timeout=100, on_batch=stored, on_status=told.append).run_forever(clock)
        assert store.token == LAST
        assert store.check() == []
    return during[0], told, clock


@pytest.mark.parametrize("name", FAULTS)
def test_p27_requests_stay_bounded_and_nothing_is_lost(flaky: Flaky, tmp_path: Path, name: str) -> None:
    count, told, _ = endure(flaky, tmp_path / "me.db", FAULTS[name], SECONDS)
    assert 1 <= count <= MOST
    assert read(tmp_path / "me.db") == undisturbed(tmp_path)
    if name != "nothing new, at once":
        waiting = [status for status in told if status.kind == "waiting"]
        assert waiting and all(status.error and status.error.isprintable() for status in waiting)
    assert told[-1].kind == "storing"


def test_p27_a_server_that_stands_still_is_not_asked_without_end(flaky: Flaky, tmp_path: Path) -> None:
    """It says the same again and again, whatever it is asked."""
    count, _, _ = endure(flaky, tmp_path / "me.db", says(WHOLE), SECONDS)
    assert 2 <= count <= MOST


@pytest.mark.parametrize("name", ["closed", "502", "429", "nothing new, at once", "no token"])
def test_p27_an_hour_of_it_is_no_storm(flaky: Flaky, tmp_path: Path, name: str) -> None:
    count, _, _ = endure(flaky, tmp_path / "me.db", FAULTS[name], 3600)
    # The loop asks once a minute at last, five times each; an empty answer is no failure, and may be followed by news.
    assert count <= (1200 if name == "nothing new, at once" else 500)
    assert read(tmp_path / "me.db") == undisturbed(tmp_path)


def test_p27_a_server_that_is_gone_for_two_seconds_of_the_wall_clock(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    stop, told = threading.Event(), list[Status]()
    threading.Timer(SECONDS, stop.set).start()
    with SyncStore.open(tmp_path / "me.db", user_id=ME) as store, Homeserver(url, access_token="t") as server:
        Syncer(server, store, on_status=told.append).run_forever(stop)
    waiting = [status for status in told if status.kind == "waiting"]
    assert 2 <= len(waiting) <= MOST
    assert all("connection refused" in (status.error or "") for status in waiting)


def test_p27_a_connection_closed_while_idle_is_no_failure(flaky: Flaky, tmp_path: Path) -> None:
    served: set[socket.socket] = set()

    def once(connection: socket.socket, target: str) -> bool:
        if connection in served:
            return False  # read the request, and closed: the client could not have known
        served.add(connection)
        return flaky.healthy(connection, target)

    flaky.fault = once
    told: list[Status] = []
    clock = Clock(SECONDS, lambda: pytest.fail("a wait"))
    with SyncStore.open(tmp_path / "me.db", user_id=ME) as store, Homeserver(flaky.url, access_token="t") as server:
        Syncer(server, store, on_batch=until_last(store, clock), on_status=told.append).run_forever(clock)
    assert read(tmp_path / "me.db") == undisturbed(tmp_path)
    assert clock.waits == [] and "waiting" not in {status.kind for status in told}
    assert flaky.syncs == 2 * len(BODIES) - 1


@pytest.mark.parametrize("soft", [True, False])
def test_p27_a_token_that_is_taken_away_ends_the_loop_once(flaky: Flaky, tmp_path: Path, soft: bool) -> None:
    gone = json.dumps({"errcode": "M_UNKNOWN_TOKEN", "error": "gone", "soft_logout": soft}).encode()
    with SyncStore.open(tmp_path / "me.db", user_id=ME) as store, Homeserver(flaky.url, access_token="t") as server:

        def stored(_: object) -> None:
            flaky.fault = says(http(gone, "401 Unauthorized"))

        syncer = Syncer(server, store, on_batch=stored)
        with pytest.raises(UnknownTokenError) as caught:
            syncer.run_forever(Clock(0, lambda: pytest.fail("a wait")))
        assert (caught.value.soft_logout, flaky.syncs, store.token) == (soft, 2, "s1")
        flaky.fault = None
        stop = threading.Event()
        Syncer(server, store, on_batch=until_last(store, stop)).run_forever(stop)
    assert read(tmp_path / "me.db") == undisturbed(tmp_path)


def test_p27_the_wall_clock_may_jump(flaky: Flaky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jumps = itertools.cycle([1.7e9, 0.0, 4e9, 1e9, 9e9])
    faults = itertools.cycle([FAULTS["502"], FAULTS["429 with a date"], FAULTS["cut"]])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    count, _, clock = endure(flaky, tmp_path / "me.db", lambda *given: next(faults)(*given), 60)
    assert 5 <= count <= 50
    assert max(clock.waits) <= 60
    assert read(tmp_path / "me.db") == undisturbed(tmp_path)


@pytest.mark.parametrize("where", ["in a poll", "in a pause", "in the head", "in the body"])
def test_p27_stop_ends_every_wait_at_once(
    flaky: Flaky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(homeserver, "POLL_MARGIN", 300)
    monkeypatch.setattr(homeserver, "WORK_SECONDS", 300)
    drops = {"in the head": FAULTS["head in drops"], "in the body": FAULTS["body in drops"]}
    faults = {"in a pause": limited(29_000)} | drops
    stop, reached = threading.Event(), threading.Event()
    with SyncStore.open(tmp_path / "me.db", user_id=ME) as store, Homeserver(flaky.url, access_token="t") as server:
        before = server.pause

        def told(status: Status) -> None:
            if status.kind == ("waiting" if where == "in a pause" else "asking") and store.token == LAST:
                reached.set()

        def stored(_: object) -> None:
            if store.token == LAST:
                flaky.fault = faults.get(where)

        syncer = Syncer(server, store, timeout=300_000, on_batch=stored, on_status=told)
        loop = threading.Thread(target=syncer.run_forever, args=(stop,))
        loop.start()
        assert reached.wait(60)
        time.sleep(0.3)  # until it really waits
        stop.set()
        loop.join(20)
        assert not loop.is_alive(), "still waiting"
        assert server.pause is before and not server.stopped(), "the server is as it was, for others"
    assert ROOM in read(tmp_path / "me.db")["rooms"]
