"""Each call: method, path, query, body, and what it makes of the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from syncstore.errors import RemoteError, ServerError, UnreachableError
from syncstore.net import Homeserver, Login, WhoAmI

from .conftest import TOKEN
from .fake import Fake, Reply, answer

ROOM = "!a/b+c d:example.org"
ROOM_IN_PATH = "%21a%2Fb%2Bc%20d%3Aexample.org"


def test_sync_sends_both_names_of_use_state_after(fake: Fake, server: Homeserver) -> None:
    fake.say(answer({"next_batch": "s2"}))
    found = server.sync(since="s1", filter="7", timeout=0, set_presence="offline")
    seen = fake.seen[0]
    assert (seen.method, seen.path) == ("GET", "/_matrix/client/v3/sync")
    assert seen.headers["Authorization"] == f"Bearer {TOKEN}"
    assert seen.query == found.query
    assert found.query == {
        "since": "s1",
        "filter": "7",
        "timeout": "0",
        "set_presence": "offline",
        "use_state_after": "true",
        "org.matrix.msc4222.use_state_after": "true",
    }
    assert (bytes(found.body), found.status, found.path) == (b'{"next_batch": "s2"}', 200, "/_matrix/client/v3/sync")
    assert found.ms >= 0


def test_sync_without_state_after_and_with_full_state(fake: Fake, server: Homeserver) -> None:
    server.sync(full_state=True, use_state_after=False)
    assert fake.seen[0].query == {"timeout": "0", "full_state": "true"}


def test_servers_of_2015_get_their_own_paths_and_the_token_in_the_query(
    fake: Fake, connect: Callable[..., Homeserver]
) -> None:
    server = connect(auth="query")
    fake.say(answer({"next_batch": "s2"}), answer({"filter_id": "1"}), answer({"chunk": []}))
    found = server.sync(since="s1")
    server.upload_filter("@a:b", {})
    server.messages(ROOM, from_="t1")
    assert [seen.path for seen in fake.seen] == [
        "/_matrix/client/v2_alpha/sync",
        "/_matrix/client/v2_alpha/user/%40a%3Ab/filter",
        f"/_matrix/client/api/v1/rooms/{ROOM_IN_PATH}/messages",
    ]
    assert fake.seen[0].query == {"since": "s1", "timeout": "0", "access_token": TOKEN}
    assert found.query == {"since": "s1", "timeout": "0"}
    assert all(seen.query["access_token"] == TOKEN for seen in fake.seen)
    assert all("Authorization" not in seen.headers for seen in fake.seen)


def test_the_event_of_a_moment(fake: Fake, server: Homeserver) -> None:
    fake.say(answer({"event_id": "$e", "origin_server_ts": 5}))
    assert server.event_at(ROOM, 7, dir="b") == "$e"
    assert fake.seen[0].path == f"/_matrix/client/v1/rooms/{ROOM_IN_PATH}/timestamp_to_event"
    assert fake.seen[0].query == {"ts": "7", "dir": "b"}


def test_the_time_allowed_is_longer_than_the_poll(
    fake: Fake, server: Homeserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[Any] = []
    plain = server._transport._http.request

    def request(*args: Any, **options: Any) -> Any:
        allowed.append(options["timeout"])
        return plain(*args, **options)

    monkeypatch.setattr(server._transport._http, "request", request)
    server.sync(since="s1", timeout=30_000)
    server.sync(timeout=0)
    assert allowed == [(10.0, 60.0), (10.0, 120.0)]


@pytest.mark.parametrize(
    ("call", "path", "query"),
    [
        (
            lambda s: s.messages(ROOM, from_="t2", to="t1", limit=5),
            f"rooms/{ROOM_IN_PATH}/messages",
            {"from": "t2", "to": "t1", "dir": "b", "limit": "5"},
        ),
        (lambda s: s.messages(ROOM, dir="f", filter="{}"), f"rooms/{ROOM_IN_PATH}/messages", None),
        (lambda s: s.context(ROOM, "$x/+y"), f"rooms/{ROOM_IN_PATH}/context/%24x%2F%2By", {"limit": "0"}),
        (lambda s: s.members(ROOM, at="s 1&"), f"rooms/{ROOM_IN_PATH}/members", {"at": "s 1&"}),
        (lambda s: s.members(ROOM), f"rooms/{ROOM_IN_PATH}/members", {}),
    ],
)
def test_room_reads(
    fake: Fake, server: Homeserver, call: Callable[[Homeserver], Any], path: str, query: dict[str, str] | None
) -> None:
    fake.say(answer({"chunk": []}))
    assert bytes(call(server).body) == b'{"chunk": []}'
    assert fake.seen[0].path == f"/_matrix/client/v3/{path}"
    assert fake.seen[0].query == (query or {"dir": "f", "limit": "100", "filter": "{}"} if query != {} else {})


def test_state_is_a_list(fake: Fake, server: Homeserver) -> None:
    fake.say(answer([{"type": "m.room.create"}]))
    assert bytes(server.state(ROOM).body).startswith(b"[")
    assert fake.seen[0].path == f"/_matrix/client/v3/rooms/{ROOM_IN_PATH}/state"


@pytest.mark.parametrize(
    ("call", "path", "body"),
    [
        (lambda s: s.leave(ROOM), f"rooms/{ROOM_IN_PATH}/leave", {}),
        (lambda s: s.forget(ROOM), f"rooms/{ROOM_IN_PATH}/forget", {}),
        (lambda s: s.invite(ROOM, "@b:c"), f"rooms/{ROOM_IN_PATH}/invite", {"user_id": "@b:c"}),
    ],
)
def test_room_changes(
    fake: Fake, server: Homeserver, call: Callable[[Homeserver], Any], path: str, body: dict[str, str]
) -> None:
    assert call(server) is None
    assert (fake.seen[0].method, fake.seen[0].path) == ("POST", f"/_matrix/client/v3/{path}")
    assert json.loads(fake.seen[0].body) == body


@pytest.mark.parametrize("verb", ["join", "knock"])
def test_entering_a_room_through_other_servers(fake: Fake, server: Homeserver, verb: str) -> None:
    fake.say(answer({"room_id": "!r:x"}))
    assert getattr(server, verb)("#a/b:x", via=["one.org", "two.org"]) == "!r:x"
    assert fake.seen[0].path == f"/_matrix/client/v3/{verb}/%23a%2Fb%3Ax"
    assert fake.seen[0].lists == {"via": ["one.org", "two.org"], "server_name": ["one.org", "two.org"]}


def test_upload_filter(fake: Fake, server: Homeserver) -> None:
    fake.say(answer({"filter_id": "12"}))
    definition = {"room": {"state": {"lazy_load_members": True}}}
    assert server.upload_filter("@a/b:c", definition) == "12"
    assert fake.seen[0].path == "/_matrix/client/v3/user/%40a%2Fb%3Ac/filter"
    assert json.loads(fake.seen[0].body) == definition


def test_login_gives_later_calls_the_token_and_logout_takes_it(fake: Fake, connect: Callable[..., Homeserver]) -> None:
    server = connect(access_token=None)
    given = {"user_id": "@a:b", "device_id": "D", "access_token": "fresh"}
    fake.say(answer(given), answer({"user_id": "@a:b", "device_id": "D"}), answer({}), answer({}))
    assert server.login("a", "pw", device_id="D", device_name="desk") == Login("@a:b", "D", "fresh")
    assert server.whoami() == WhoAmI("@a:b", "D")
    server.logout()
    server.request("GET", "/_matrix/client/v3/pushrules/")
    assert [seen.headers.get("Authorization") for seen in fake.seen] == [None, "Bearer fresh", "Bearer fresh", None]
    assert json.loads(fake.seen[0].body) == {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "a"},
        "password": "pw",
        "device_id": "D",
        "initial_device_display_name": "desk",
    }


def test_login_with_a_token_of_single_sign_on(fake: Fake, server: Homeserver) -> None:
    fake.say(answer({"user_id": "@a:b", "device_id": "D", "access_token": "fresh"}))
    assert server.login_token("once").device_id == "D"
    assert json.loads(fake.seen[0].body) == {"type": "m.login.token", "token": "once"}


def test_the_token_can_come_from_a_function(fake: Fake, connect: Callable[..., Homeserver]) -> None:
    tokens = iter(["one", "two"])
    server = connect(access_token=lambda: next(tokens))
    server.sync()
    server.sync()
    assert [seen.headers["Authorization"] for seen in fake.seen] == ["Bearer one", "Bearer two"]


def test_versions_and_joined_rooms(fake: Fake, server: Homeserver) -> None:
    fake.say(answer({"versions": ["v1.11"], "x": 1}), answer({"joined_rooms": ["!a:b"]}))
    assert server.versions() == {"versions": ["v1.11"], "x": 1}
    assert server.joined_rooms() == ["!a:b"]
    assert [seen.path for seen in fake.seen] == ["/_matrix/client/versions", "/_matrix/client/v3/joined_rooms"]
    assert "Authorization" not in fake.seen[0].headers


def test_request_is_generic(fake: Fake, server: Homeserver) -> None:
    fake.say(answer([1, None]))
    assert server.request("put", "/_matrix/client/v3/x%2Fy", {"a": 1}, query={"q": "1 2"}) == [1, None]
    seen = fake.seen[0]
    assert (seen.method, seen.path, seen.query) == ("PUT", "/_matrix/client/v3/x%2Fy", {"q": "1 2"})
    assert json.loads(seen.body) == {"a": 1}


@pytest.mark.parametrize("path", ["_matrix/client/v3/sync", "/x?access_token=abc", "/x#y", ""])
def test_request_refuses_a_path_that_is_none(server: Homeserver, path: str) -> None:
    with pytest.raises(RemoteError, match="path") as caught:
        server.request("GET", path)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("segment", ["", ".", "..", "\ud800"])
def test_an_id_that_would_name_another_path_is_refused(fake: Fake, server: Homeserver, segment: str) -> None:
    with pytest.raises(RemoteError, match="no id"):
        server.leave(segment)
    assert fake.seen == []


@pytest.mark.parametrize(
    ("call", "key"),
    [
        (lambda s: s.whoami(), "user_id"),
        (lambda s: s.versions(), "versions"),
        (lambda s: s.joined_rooms(), "joined_rooms"),
        (lambda s: s.join("!a:b"), "room_id"),
        (lambda s: s.upload_filter("@a:b", {}), "filter_id"),
        (lambda s: s.login("a", "b"), "user_id"),
    ],
)
@pytest.mark.parametrize("wrong", [None, 7])
def test_a_missing_or_wrong_key_is_named(
    fake: Fake, server: Homeserver, call: Callable[[Homeserver], Any], key: str, wrong: object
) -> None:
    fake.say(answer({key: wrong} if wrong else {}))
    with pytest.raises(ServerError, match=key):
        call(server)


def test_joined_rooms_holds_only_ids(fake: Fake, server: Homeserver) -> None:
    fake.say(answer({"joined_rooms": ["!a:b", 7]}))
    with pytest.raises(ServerError, match="no room_id"):
        server.joined_rooms()


@pytest.mark.parametrize("body", [b"{]}", b"{\xff}", b'{"a":' * 100_000 + b"}"])
def test_broken_json_is_no_answer(fake: Fake, server: Homeserver, body: bytes) -> None:
    fake.say(Reply(body=body))
    with pytest.raises(UnreachableError, match="no JSON"):
        server.whoami()


@pytest.mark.parametrize(
    "url",
    ["example.org", "ftp://a", "http://", "https://a?x=1", "https://u:pw@a", "http://a:99999", "http://a b", "//a"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(RemoteError, match="homeserver address") as caught:
        Homeserver(url)
    assert "pw" not in str(caught.value)


def test_the_address_may_have_a_path_and_loses_its_slash(fake: Fake, connect: Callable[..., Homeserver]) -> None:
    server = connect(base_url=f"{fake.url}/matrix//")
    fake.say(answer({"versions": []}))
    server.versions()
    assert server.base_url == f"{fake.url}/matrix"
    assert fake.seen[0].path == "/matrix/_matrix/client/versions"
    assert repr(server) == f"Homeserver('{fake.url}/matrix')"


def test_connections_are_kept(fake: Fake, server: Homeserver) -> None:
    with server:
        for _ in range(3):
            server.sync()
    assert len(fake.connections) == 1
