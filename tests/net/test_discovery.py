"""A server name leads to a base URL as the spec says, or to an error that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from syncstore.errors import RemoteError, ServerError, UnreachableError
from syncstore.net import discover, discovery

from .fake import Fake, Reply, answer


@pytest.fixture
def named(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """The fake as the web server of example.org."""
    monkeypatch.setattr(discovery, "_well_known", lambda fallback: f"{fake.url}/.well-known/matrix/client")
    yield fake


def stated(base_url: Any) -> Reply:
    return answer({"m.homeserver": {"base_url": base_url}, "org.other": 1})


def test_the_stated_homeserver_is_tried_and_returned(named: Fake) -> None:
    named.say(stated(f"{named.url}/"), answer({"versions": ["v1.1"]}))
    assert discover("example.org") == named.url
    assert [seen.path for seen in named.seen] == ["/.well-known/matrix/client", "/_matrix/client/versions"]


def test_without_a_file_the_server_name_is_the_address(named: Fake) -> None:
    named.say(Reply(404, b"<html>", {"Content-Encoding": "br"}))
    assert discover("example.org") == "https://example.org"
    assert discover("example.org:8448") == "https://example.org:8448"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(403),
        Reply(200, b""),
        Reply(200, b"<html>"),
        Reply(200, b"[]"),
        answer({}),
        answer({"m.homeserver": "https://x"}),
        stated(7),
        Reply(200, b"{" * 200_000),
        Reply(200, b"{", declared=50),
    ],
)
def test_what_the_user_must_be_asked(named: Fake, reply: Reply) -> None:
    named.say(reply)
    with pytest.raises(UnreachableError, match="give the homeserver's address"):
        discover("example.org")


def test_no_web_server_at_all(named: Fake) -> None:
    named.close()
    with pytest.raises(UnreachableError, match="connection refused; give the homeserver's address"):
        discover("example.org")


@pytest.mark.parametrize("base_url", ["", "example.org", "ftp://x", "http://127.0.0.1:1"])
def test_a_stated_homeserver_that_is_none(named: Fake, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    named.say(stated(base_url))
    with pytest.raises(ServerError, match=r"\.well-known of example.org names a broken homeserver"):
        discover("example.org")


def test_a_stated_address_that_answers_something_else(named: Fake) -> None:
    named.say(stated(named.url), answer({"hello": 1}))
    with pytest.raises(ServerError, match=r"broken homeserver: .*'versions'"):
        discover("example.org")


def test_redirects_are_followed_but_not_for_ever(named: Fake) -> None:
    named.say(Reply(301, headers={"Location": "/else"}), stated(named.url), answer({"versions": []}))
    assert discover("example.org") == named.url
    named.say(Reply(301, headers={"Location": "/loop"}))
    with pytest.raises(UnreachableError, match="too many redirects"):
        discover("example.org")


@pytest.mark.parametrize("server_name", ["", "a/b", "@a:b.org", "a?b", "a b", "a#b", "a:b"])
def test_a_name_that_is_none(named: Fake, server_name: str) -> None:
    with pytest.raises(RemoteError, match="expected"):
        discover(server_name)
    assert named.seen == []


@pytest.mark.parametrize(
    ("fallback", "host"),
    [("https://example.org:8448", "example.org"), ("https://[::1]:8448", "[::1]"), ("https://b.org", "b.org")],
)
def test_the_federation_port_is_left_out(fallback: str, host: str) -> None:
    assert discovery._well_known(fallback) == f"https://{host}/.well-known/matrix/client"
