"""What is small to send is small to take: sizes, compression and shapes cost in proportion, and no regex runs away."""

from __future__ import annotations

import gzip
import importlib
import json
import re
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syncstore import SyncStore
from syncstore.errors import ServerError, SyncStoreError, UnreachableError
from syncstore.model.json_text import any_int, decode
from syncstore.net import Homeserver, Retry
from syncstore.wire.mask import Mask, lone_surrogates, nesting
from tests.net.fake import Fake, Reply
from tests.net.test_body import bomb

ROOT = Path(__file__).parents[2]
# Twice the input may take 3.1 times as long, not 4 times: caches and collections of garbage cost too. Below the floor
# nobody measures anything.
_FLOOR, _GROWTH = 0.004, 3.1
_TRIES = 3  # a busy machine may disturb one of them


def _cost(work: Callable[[], object]) -> float:
    """CPU seconds, the best of three: the machine is busy with other tests."""
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def _is_linear(make: Callable[[int], Any], work: Callable[[Any], object], size: int) -> bool:
    """Whether four times the input costs in proportion; a quadratic one costs sixteen times, each time it is tried."""
    small, large = make(size), make(4 * size)
    return any(
        _cost(lambda: work(large)) <= max(_cost(lambda: work(small)), _FLOOR) * _GROWTH**2 for _ in range(_TRIES)
    )


@pytest.fixture
def fake() -> Iterator[Fake]:
    fake = Fake()
    yield fake
    fake.close()


# -- the network: tests/net/test_body.py has the gzip bomb, the exact limit and the encoding nobody asked for


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "gzip, gzip", "compress", "x-gzip, br"])
def test_p28_only_one_layer_of_gzip_is_opened(fake: Fake, encoding: str) -> None:
    body = zlib.compress(bytes(1 << 20)) if encoding == "deflate" else gzip.compress(bomb(1 << 20))
    fake.say(Reply(body=body, headers={"Content-Encoding": encoding}))
    with Homeserver(fake.url, retry=Retry(1)) as server, pytest.raises(UnreachableError, match="not asked for"):
        server.sync()


def _refused(server: Homeserver) -> None:
    with pytest.raises(ServerError):
        server.sync()


def test_p28_an_error_page_is_no_bomb_either(fake: Fake) -> None:
    fake.say(Reply(400, body=bomb(128 << 20), headers={"Content-Encoding": "gzip"}))
    with Homeserver(fake.url, retry=Retry(1)) as server:
        cost = _cost(lambda: _refused(server))
    assert cost < 0.1, "to unpack it all takes longer"


def test_p28_a_short_answer_is_short(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gigabyte of [] would be thirty of lists; joined_rooms of 100,000 rooms fits."""
    rooms = {"joined_rooms": [f"!{number}:example.org" for number in range(100_000)]}
    fake.say(Reply(body=json.dumps(rooms).encode()))
    with Homeserver(fake.url, retry=Retry(1)) as server:
        assert len(server.joined_rooms()) == 100_000
        monkeypatch.setattr("json.loads", lambda text: pytest.fail("decoded"))
        body = gzip.compress(b'{"user_id": [' + b"[]," * (6 << 20) + b"[]]}", 1)
        fake.say(Reply(body=body, headers={"Content-Encoding": "gzip"}))
        for ask in (server.whoami, server.joined_rooms, server.versions, lambda: server.login("a", "b")):
            with pytest.raises(ServerError, match="longer than 16777216 bytes"):
                ask()


# -- text functions and regular expressions


@pytest.mark.parametrize(
    "make",
    [
        lambda n: b'{"a": "' + b'\\"' * n,
        lambda n: b'{"a": [{"' + b'\\"' * n,
        lambda n: b'"' * n,
        lambda n: b'"\\' * n,
        lambda n: b'{"a":[{"b":"' + b"x" * n + b'"}]}',
        lambda n: b"[" * n + b"]" * n,
        lambda n: b"".join(b"~%d~" % number for number in range(n // 8)),
        lambda n: b"~" * n,
        lambda n: b"\\ud800" * (n // 6),
        lambda n: b"\xff" * n,
        lambda n: b"\xff" + b"~0~0s~" * (n // 6),
    ],
)
def test_p28_odd_bodies_are_read_in_one_pass(make: Callable[[int], bytes]) -> None:
    assert _is_linear(make, nesting, 20_000)
    assert _is_linear(make, lambda body: lone_surrogates(body.decode("latin-1")), 20_000)
    assert _is_linear(make, Mask, 20_000)
    body = make(2_000)
    mask = Mask(body)
    assert mask.restore(mask.body) == body


def test_p28_a_long_string_takes_no_memory_of_its_own() -> None:
    """An expression that remembers ways back took 2 GB for one string of 20 MB."""
    import tracemalloc

    body = b'{"a":[{"b":"' + b"x" * (20 << 20) + b'"}]}'
    tracemalloc.start()
    try:
        assert nesting(body) == 3
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    started = time.process_time()
    nesting(body)
    assert time.process_time() - started < 3


def test_p28_a_number_of_any_length_is_read_in_time() -> None:
    digits = "1234567890" * 10_000
    assert any_int(digits) % 10**20 == int(digits[-20:])
    assert any_int("-" + "9" * 5000) == -any_int("9" * 5000) == 1 - 10**5000
    assert _cost(lambda: any_int("9" * 400_000)) < 2, "Decimal takes seven seconds"
    assert decode(f"[{'9' * 1_000_001}, -{'9' * 1_000_001}]") == [float("inf"), float("-inf")]


def _regexes() -> dict[str, tuple[Any, set[str]]]:
    """Every regular expression that a module of the package keeps, and the ways in which it is used there."""
    found = {}
    for path in (ROOT / "syncstore").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if "re.compile(" not in source:
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for key, value in vars(importlib.import_module(name)).items():
            if isinstance(value, re.Pattern):
                found[f"{name}.{key}"] = value, set(re.findall(rf"\b{key}\.(\w+)\(", source))
    return found


@pytest.mark.parametrize("name", sorted(_regexes()))
def test_p28_no_regular_expression_runs_away(name: str) -> None:
    """Also of those that come later: each is tried with runs of what such expressions stumble over."""
    pattern, uses = _regexes()[name]
    assert uses and uses <= {"match", "fullmatch", "sub", "finditer"}
    runs = ["\\", '"', '\\"', " ", "9", "a9", "+", "\t\n", "access_token=", "%", "\\ud800", "\udc80", "\u202e", "s1_"]
    whole = {"match": pattern.match, "fullmatch": pattern.fullmatch}
    whole |= {"sub": lambda text: sum(1 for _ in pattern.finditer(text))}
    whole["finditer"] = whole["sub"]
    for run in runs:
        for end in ("", "!"):

            def make(size: int, run: str = run, end: str = end) -> Any:
                text = run * (size // len(run)) + end
                return text if isinstance(pattern.pattern, str) else text.encode("utf-8", "surrogatepass")

            for use in uses:
                assert _is_linear(make, whole[use], 8_000), (run, end, use)


def test_p28_each_expression_is_tried() -> None:
    names = {name.rsplit(".", 1)[1] for name in _regexes()}
    assert {"_NOT_PRINTABLE", "_STRUCTURE", "_ESCAPE", "_LEADING_NUMBER", "_IN_QUERY", "_LEVEL", "_ORDER"} <= names


# -- shapes in a body; sizes and mutations at large are in tests/fuzz


def _event(content: bytes) -> bytes:
    head = b'{"event_id":"$a","type":"m.room.message","sender":"@a:x","origin_server_ts":1,"content":'
    return b'{"next_batch":"s","rooms":{"join":{"!r:x":{"timeline":{"events":[' + head + content + b"}]}}}}}"


@pytest.mark.parametrize(
    "make",
    [
        lambda n: _event(b'{"a":[' + b",".join([b"[]"] * n) + b"]}"),
        lambda n: _event(b"{" + b",".join(b'"%d":0' % one for one in range(n)) + b"}"),
        lambda n: _event(b"{" + b",".join(b'"a":0' for _ in range(n)) + b"}"),
        lambda n: _event(b'{"a":"' + b"\\ud800" * n + b'"}'),
        lambda n: _event(b'{"a":' + b"[" * n + b"]" * n + b"}"),
        lambda n: _event(b'{"a":' + b"9" * n + b"}"),
        lambda n: b'{"next_batch":"s","x":"' + b"".join(b"~%d~" % one for one in range(n)) + b'\\ud800"}',
        lambda n: b'{"next_batch":"s","x":"' + b'\\"' * n,
        lambda n: b'{"next_batch":"s",' + b",".join(b'"k%d":0' % one for one in range(n)) + b"}",
        lambda n: b'{"next_batch":"s' + b"9" * n + b'","rooms":{"join":{}}}',
    ],
)
def test_p28_no_shape_of_a_body_costs_out_of_proportion(tmp_path: Path, make: Callable[[int], bytes]) -> None:
    """With SipHash under Python's dicts nobody outside can make keys collide."""
    import sys

    assert sys.hash_info.algorithm.startswith("siphash")
    number = iter(range(100))

    def work(body: bytes) -> None:
        with SyncStore.open(tmp_path / f"{next(number)}.db", user_id="@me:x") as store:
            try:
                store.apply(body)
            except SyncStoreError:
                return
            for event in store.events("$a"):
                _ = event.content

    assert _is_linear(make, work, 10_000)


def test_p28_a_token_of_any_length_is_no_number(tmp_path: Path) -> None:
    tokens = ["s" + "9" * 5000, "s" + "1" * 5000, "s" + "8" * 100_000, "s" + "\u0663" * 50]
    with SyncStore.open(tmp_path / "a.db", user_id="@me:x") as store:
        for number, token in enumerate(tokens):
            data = {"events": [{"type": "a", "content": {"n": number}}]}
            store.apply(json.dumps({"next_batch": token, "account_data": data}).encode())
            assert store.token == token
