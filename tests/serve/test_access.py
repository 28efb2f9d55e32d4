"""Who may connect: token, origin, host name, TLS."""

import asyncio
import ssl
import subprocess

import aiohttp
import pytest
from serve.clients import running

from halfbyte.errors import UsageError
from halfbyte.serve.access import Access
from halfbyte.serve.options import ServeOptions


def status_of(recognizer, access, path="/v1/stream", **request):
    """HTTP status of a WebSocket upgrade or of a plain request."""

    async def ask():
        async with running(recognizer, access=access) as bench:
            url = bench.server.make_url(path)
            if path != "/v1/stream":
                async with bench.http.get(url, **request) as answer:
                    return answer.status
            try:
                async with bench.http.ws_connect(url, **request):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("request_options", "status"),
    [
        ({}, 401),
        ({"headers": {"Authorization": "Bearer wrong"}}, 401),
        ({"headers": {"Authorization": "Basic secret"}}, 401),
        ({"headers": {"Authorization": "Bearer secret"}}, 101),
        ({"params": {"token": "secret"}}, 101),
        ({"params": {"token": "s\u00e9cret"}}, 401),
    ],
)
def test_a_token_is_asked_for(recognizer, request_options, status):
    assert status_of(recognizer, Access(token="secret"), **request_options) == status


def test_health_needs_no_token_but_metrics_do(recognizer):
    assert status_of(recognizer, Access(token="secret"), "/health") == 200
    assert status_of(recognizer, Access(token="secret"), "/metrics") == 401


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://elsewhere.example", 403), ("https://friend.example", 101), ("null", 403)],
)
def test_pages_of_other_sites_may_not_connect(recognizer, origin, status):
    access = Access(origins=("https://friend.example",))
    assert status_of(recognizer, access, headers={"Origin": origin}) == status


def test_pages_of_the_server_itself_may_connect(recognizer):
    headers = {"Origin": "http://localhost:8765", "Host": "localhost:8765"}
    assert status_of(recognizer, Access(), headers=headers) == 101


@pytest.mark.parametrize(("is_loopback", "status"), [(True, 403), (False, 200)])
def test_a_name_from_elsewhere_does_not_lead_to_a_loopback_server(recognizer, is_loopback, status):
    access = Access(is_loopback=is_loopback)
    headers = {"Host": "rebound.example"}
    assert status_of(recognizer, access, "/health", headers=headers) == status


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("x", False)],
)
def test_loopback_is_recognised(host, is_loopback):
    assert ServeOptions(host=host).is_loopback == is_loopback


def test_tls_with_a_certificate_and_a_clear_error_without(tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    with pytest.raises(UsageError, match="expected a certificate"):
        ServeOptions(certificate=(certificate, key)).tls()
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"),
            *("-keyout", str(key), "-out", str(certificate), "-days", "1"),
        ],
        check=True,
        capture_output=True,
    )
    assert isinstance(ServeOptions(certificate=(certificate, key)).tls(), ssl.SSLContext)
    certificate.write_text("nonsense")
    with pytest.raises(UsageError, match="expected a certificate"):
        ServeOptions(certificate=(certificate, key)).tls()
