"""The token goes to the homeserver and nowhere else."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from syncstore.errors import RemoteError, ServerError, UnreachableError
from syncstore.net import Homeserver, Login

from .conftest import TOKEN
from .fake import Fake, Reply, answer

FORMS = (TOKEN, quote(TOKEN, safe=""), "S3cret")


def everything(error: BaseException) -> str:
    """All text a program could show of an error, hidden contexts included."""
    told = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    for hidden in (error.__cause__, error.__context__):
        told += everything(hidden) if hidden is not None else ""
    return told


def echo() -> Reply:
    return answer(
        {"errcode": "M_" + TOKEN, "error": f"no {quote(TOKEN, safe='')}, {TOKEN} at ?access_token={TOKEN}"}, 400
    )


@pytest.mark.parametrize("auth", ["header", "query"])
@pytest.mark.parametrize(
    "reply",
    [
        echo(),
        answer({"errcode": "M_UNKNOWN_TOKEN", "error": "x" * 190 + TOKEN}, 401),
        Reply(502, TOKEN.encode(), {"Content-Type": "text/html"}),
        Reply(body=TOKEN.encode()),
        Reply(body=b"{", declared=99),
        Reply(body=b"zz", headers={"Transfer-Encoding": "chunked"}),
        Reply(302, headers={"Location": f"http://other.example/x?access_token={quote(TOKEN)}"}),
        Reply(429, headers={"Retry-After": "99"}),
        None,
    ],
)
def test_no_failure_shows_the_token(
    fake: Fake, connect: Callable[..., Homeserver], caplog: pytest.LogCaptureFixture, auth: str, reply: Reply | None
) -> None:
    caplog.set_level(logging.DEBUG)
    server = connect(auth=auth)
    server.pause = lambda seconds: None
    if reply is None:
        fake.close()
    else:
        fake.say(reply)
    with pytest.raises(RemoteError) as caught:
        server.sync(since="s1")
    told = everything(caught.value) + caplog.text + repr(caplog.records) + repr(server)
    told += "".join(str(vars(record)) for record in caplog.records)
    assert not [form for form in FORMS if form in told]
    assert TOKEN[:6] not in told, "not even its beginning, where a text is cut"
    assert reply is None or TOKEN in str(fake.seen[0].headers) + str(fake.seen[0].query), "it was really sent"


@pytest.mark.parametrize("auth", ["header", "query"])
def test_no_success_shows_the_token(
    fake: Fake, connect: Callable[..., Homeserver], caplog: pytest.LogCaptureFixture, auth: str
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.say(answer({"next_batch": "s2", "secret": "words"}))
    found = connect(auth=auth).sync(since="s1")
    assert not [form for form in FORMS if form in caplog.text + repr(found)]
    assert "words" not in caplog.text
    lines = [record.getMessage() for record in caplog.records if record.name == "syncstore.net"]
    assert any("GET" in line and "sync: 200" in line for line in lines)
    assert any("access_token=***" in line for line in caplog.messages) == (auth == "query")


def test_a_login_hides_its_token() -> None:
    assert "S3cret" not in repr(Login("@a:b", "D", TOKEN))


def test_broken_json_of_a_login_is_not_shown(fake: Fake, server: Homeserver) -> None:
    fake.say(Reply(body=b'{"access_token": "' + TOKEN.encode() + b'", }'))
    password = "".join(("hunt", "er2"))  # a traceback quotes this file
    with pytest.raises(UnreachableError, match="no JSON") as caught:
        server.login("a", password)
    assert not [form for form in (*FORMS, password) if form in everything(caught.value)]


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Evil: 1", "ä", " a"])
def test_a_token_that_cannot_be_sent_is_not_shown_either(
    fake: Fake, connect: Callable[..., Homeserver], token: str
) -> None:
    with pytest.raises(RemoteError, match="access token is empty or holds") as caught:
        connect(access_token=token).sync()
    assert "Evil" not in everything(caught.value)
    assert fake.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("auth", ["header", "query"])
def test_a_redirect_is_not_followed(fake: Fake, connect: Callable[..., Homeserver], status: int, auth: str) -> None:
    other = Fake()
    fake.say(Reply(status, headers={"Location": f"{other.url}/_matrix/client/v3/sync?x=1"}))
    with pytest.raises(ServerError, match=f"{status} redirect to {other.url} not followed") as caught:
        connect(auth=auth).sync()
    other.close()
    assert caught.value.status == status
    assert (len(fake.seen), other.seen) == (1, [])


def test_the_body_of_a_redirect_is_not_read(fake: Fake, connect: Callable[..., Homeserver]) -> None:
    done = threading.Event()
    fake.say(Reply(302, b"half", {"Location": "/x"}, declared=99, after=lambda: done.wait(5)))
    with pytest.raises(ServerError, match="302 redirect"):
        connect().sync()
    done.set()


@pytest.mark.parametrize("location", ["", "/elsewhere", "http://[", "http://a:b"])
def test_an_odd_redirect_is_not_followed(fake: Fake, connect: Callable[..., Homeserver], location: str) -> None:
    fake.say(Reply(302, headers={"Location": location} if location else {}))
    with pytest.raises(ServerError, match="302 redirect not followed"):
        connect().sync()


def test_a_password_of_netrc_is_not_sent(
    fake: Fake, connect: Callable[..., Homeserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pw\n")
    monkeypatch.setenv("NETRC", str(netrc))
    fake.say(answer({"versions": []}))
    connect().versions()
    connect(auth="query").sync()
    connect().sync()
    assert [seen.headers.get("Authorization") for seen in fake.seen] == [None, None, f"Bearer {TOKEN}"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_a_certificate_nobody_signed_is_refused(fake: Fake, connect: Callable[..., Homeserver], tmp_path: Path) -> None:
    key, cert = tmp_path / "key", tmp_path / "cert"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    subprocess.run([*command.split(), "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    fake._http.socket = context.wrap_socket(fake._http.socket, server_side=True)
    with pytest.raises(UnreachableError, match=r"certificate is not trusted \(self.signed"):
        connect(base_url=f"https://127.0.0.1:{fake.port}").sync()
    assert fake.seen == []
