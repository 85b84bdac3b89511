"""TLS is checked, the token goes to one server only, and nobody on the way names another one."""

from __future__ import annotations

import ast
import datetime
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from syncstore.errors import RemoteError, ServerError, UnreachableError
from syncstore.net import Homeserver, Retry, discover, discovery
from tests.cli.conftest import Run
from tests.cli.fake import TOKEN
from tests.net.fake import Fake, Reply, answer

PACKAGE = Path(__file__).parents[2] / "syncstore"
ONCE = Retry(attempts=1)
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine trusts the authority."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))


@pytest.fixture
def serve() -> Iterator[Callable[[trustme.LeafCert], Fake]]:
    made: list[Fake] = []

    def serve(certificate: trustme.LeafCert) -> Fake:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        fake = Fake()
        fake._http.socket = context.wrap_socket(fake._http.socket, server_side=True, do_handshake_on_connect=False)
        fake.url = f"https://127.0.0.1:{fake.port}"
        made.append(fake)
        return fake

    yield serve
    for fake in made:
        fake.close()


@pytest.fixture
def safe(serve: Callable[[trustme.LeafCert], Fake], authority: trustme.CA, trusted: None) -> Fake:
    """A server with a good certificate."""
    return serve(authority.issue_cert("127.0.0.1"))


def test_p28_a_good_certificate_is_taken(safe: Fake) -> None:
    safe.say(answer({"next_batch": "s"}))
    with Homeserver(safe.url, access_token=TOKEN, retry=ONCE) as server:
        assert server.sync().status == 200
    assert safe.seen[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("bad", ["self-signed", "other host", "expired", "not yet", "other authority"])
def test_p28_a_bad_certificate_is_refused_before_anything_is_sent(
    serve: Callable[[trustme.LeafCert], Fake], authority: trustme.CA, run: Run, monkeypatch: Any, bad: str
) -> None:
    def issue() -> trustme.LeafCert:
        if bad == "self-signed":
            stranger = trustme.CA()
            return trustme.LeafCert(stranger.private_key_pem.bytes(), stranger.cert_pem.bytes(), [])
        if bad == "other host":
            return authority.issue_cert("elsewhere.example")
        if bad == "expired":
            return authority.issue_cert("127.0.0.1", not_before=NOW - 9 * DAY, not_after=NOW - DAY)
        if bad == "not yet":
            return authority.issue_cert("127.0.0.1", not_before=NOW + DAY, not_after=NOW + 9 * DAY)
        return trustme.CA().issue_cert("127.0.0.1")

    fake = serve(issue())
    words = r"^GET \S+: the TLS certificate is not trusted \([^\n]+\)$"
    with Homeserver(fake.url, access_token=TOKEN) as server, pytest.raises(UnreachableError, match=words):
        server.pause = lambda seconds: pytest.fail("asked again")
        server.sync()
    monkeypatch.setenv("SYNCSTORE_ACCESS_TOKEN", TOKEN)
    done = run("sync", "--homeserver", fake.url)
    assert done.code == 1 and "TLS certificate is not trusted" in done.err and done.err.count("\n") == 1
    assert fake.seen == []


def test_p28_nothing_turns_the_checks_off() -> None:
    forbidden = {"verify", "cert_reqs", "check_hostname", "assert_hostname", "verify_mode", "disable_warnings"}
    forbidden |= {"CERT_NONE", "CERT_OPTIONAL", "_create_unverified_context", "assert_fingerprint"}
    looked = 0
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            looked += 1
            names = [node.arg] if isinstance(node, ast.keyword) else []
            names += [node.attr] if isinstance(node, ast.Attribute) and "syncer" not in path.name else []
            names += [node.id] if isinstance(node, ast.Name) else []
            names += [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
            # `verify` is also a command: only as a keyword or an attribute of a session would it be that of requests.
            found = {name for name in names if name in forbidden}
            if found == {"verify"} and (path.parent.name in ("cli", "sync") or path.name == "aio.py"):
                continue
            assert not found, f"{path}: {found}"
    assert looked > 10_000


def _stated(base_url: Any) -> Reply:
    return answer({"m.homeserver": {"base_url": base_url}})


@pytest.fixture
def named(safe: Fake, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The good server as the web server of example.org."""
    monkeypatch.setattr(discovery, "_well_known", lambda fallback: f"{safe.url}/.well-known/matrix/client")
    return safe


def test_p28_a_name_leads_to_a_server_with_tls(named: Fake) -> None:
    named.say(Reply(302, headers={"Location": "/there"}), _stated(named.url), answer({"versions": []}))
    assert discover("example.org") == named.url
    assert not [seen for seen in named.seen if "Authorization" in seen.headers]


@pytest.mark.parametrize("scheme", ["http", "HTTP", "hTTp"])
def test_p28_https_never_leads_to_http(named: Fake, scheme: str) -> None:
    plain = Fake()
    plain.say(answer({"versions": []}))
    other = f"{scheme}://127.0.0.1:{plain.port}"
    named.say(_stated(other))
    with pytest.raises(ServerError, match="without TLS"):
        discover("example.org")
    named.say(Reply(301, headers={"Location": f"{other}/.well-known/matrix/client"}))
    with pytest.raises(UnreachableError, match="leads away from https; give the homeserver's address"):
        discover("example.org")
    plain.close()
    assert plain.seen == []


@pytest.mark.parametrize(
    "told",
    [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:application/json,{}",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:25/",
        "//127.0.0.1/",
        "https://me:pw@127.0.0.1/",
        "https://127.0.0.1\\@evil/",
        "https://127.0.0.1/?x=",
        "https://127.0.0.1/#x",
        "https://127.0.0.1\r\nX: 1/",
        "https://127.0.0.1:0/",
        "https://127.0.0.1:99999/",
        "https://",
        "https://e\u0445ample.org/",
        "",
    ],
)
def test_p28_an_odd_address_is_never_asked(named: Fake, told: str) -> None:
    named.say(_stated(told))
    with pytest.raises(ServerError, match="names a broken homeserver") as caught:
        discover("example.org")
    assert len(named.seen) == 1 and "pw" not in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(RemoteError):
        Homeserver(told, access_token=TOKEN)
    if told and told.isascii() and told.isprintable() and not told.startswith(("https", "//")):
        named.say(Reply(302, headers={"Location": told}))
        with pytest.raises(UnreachableError, match="give the homeserver's address"):
            discover("example.org")


def test_p28_an_address_inside_is_asked_for_its_versions_only(named: Fake) -> None:
    """A name may lead into one's own network, as it does at home; without a login nothing secret goes there."""
    named.say(_stated(named.url), answer({"versions": []}))
    discover("example.org")
    last = named.seen[-1]
    assert (last.method, last.path, last.body) == ("GET", "/_matrix/client/versions", b"")
    assert not {"Authorization", "Cookie"} & last.headers.keys()


@pytest.mark.parametrize(
    "target", ["https://user:pw@x.org", "https://user:p?w@x.org", "https://x.org/?access_token=pw@pw"]
)
def test_p28_credentials_in_an_address_are_refused_and_not_shown(target: str) -> None:
    with pytest.raises(RemoteError, match="expected http") as caught:
        Homeserver(target)
    assert "p" not in str(caught.value).partition("expected")[0].replace("https", "").replace("homeserver address", "")


def test_p28_netrc_and_environment_cannot_take_the_place_of_the_token(
    safe: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With tests/net/test_credentials.py::test_a_password_of_netrc_is_not_sent, over TLS and with a default entry."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pw\ndefault login me password pw\n")
    monkeypatch.setenv("NETRC", str(netrc))
    safe.say(answer({"versions": [], "next_batch": "s", "user_id": "@a:x", "device_id": "D", "access_token": "t"}))
    for auth in ("header", "query"):
        with Homeserver(safe.url, access_token=TOKEN, auth=auth, retry=ONCE) as server:
            server.versions()
            server.sync()
            server.login("a", "b")
    bearer = f"Bearer {TOKEN}"
    assert [seen.headers.get("Authorization") for seen in safe.seen] == [None, bearer, None, None, None, None]


def test_p28_a_cookie_of_one_server_goes_to_no_other(named: Fake, serve: Any, authority: trustme.CA) -> None:
    other = serve(authority.issue_cert("127.0.0.1", "localhost"))
    away = other.url.replace("127.0.0.1", "localhost")
    named.say(Reply(302, headers={"Location": f"{away}/x", "Set-Cookie": "a=b; Path=/"}))
    other.say(_stated(named.url))
    with pytest.raises(ServerError, match="broken homeserver"):
        discover("example.org")
    assert len(other.seen) == 1 and "Cookie" not in other.seen[0].headers
