"""The web page's files and what they are served with; the model list that it shows."""

import asyncio
import re

import pytest
from serve.clients import running

from halfbyte import Recognizer
from halfbyte.serve.access import Access
from halfbyte.serve.app import make_app
from halfbyte.serve.page import FOLDER

FILES = sorted(path.name for path in FOLDER.iterdir())


def fetch(recognizer, path, **options):
    async def get():
        async with (
            running(make_app(recognizer, **options)) as bench,
            bench.http.get(bench.server.make_url(path)) as answer,
        ):
            return answer.status, answer.headers, await answer.read()

    return asyncio.run(get())


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served_under_a_strict_policy(tones, name):
    path = "/" if name == "index.html" else f"/static/{name}"
    status, headers, body = fetch(tones, path, access=Access(token="secret"))
    assert status == 200
    assert body == (FOLDER / name).read_bytes()
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_no_other_file_is(tones):
    for path in ("/static/../page.py", "/static/%2e%2e/page.py", "/static/", "/page.py"):
        assert fetch(tones, path)[0] == 404


@pytest.mark.parametrize("name", FILES)
def test_no_file_asks_other_hosts_for_anything(name):
    text = (FOLDER / name).read_text(encoding="utf-8")
    addresses = re.findall(r"(?:https?:)?//[a-z][\w.-]*\.[a-z]+[^\s\"']*", text)
    assert [one for one in addresses if "www.w3.org" not in one] == []
    assert "style=" not in text  # the policy forbids it


def test_the_page_is_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 60_000


def test_a_websocket_at_the_pages_address_needs_the_token(tones):
    async def connect(query):
        app = make_app(tones, access=Access(token="secret"))
        async with (
            running(app) as bench,
            bench.http.ws_connect(bench.server.make_url("/" + query)) as socket,
        ):
            await socket.send_str('{"eof": 1}')
            return await socket.receive_str()

    assert asyncio.run(connect("?token=secret")) == '{"text": ""}'
    with pytest.raises(Exception, match="401"):
        asyncio.run(connect(""))


def test_the_shipped_model_is_shown_with_its_results(recognizer):
    async def get():
        async with (
            running(recognizer, model_name="en-voice") as bench,
            bench.http.get(bench.server.make_url("/v1/models")) as answer,
        ):
            return (await answer.json())["data"][0]

    model = asyncio.run(get())
    assert model["id"] == "en-voice"
    assert model["bytes"] > 1e6
    assert sum(model["parameters_by_bits"].values()) == model["parameters"]
    assert max(model["parameters_by_bits"], key=model["parameters_by_bits"].get) == "4"
    assert model["chunk_ms"] in model["chunk_choices_ms"]
    assert model["card"]["language"] == "English"
    assert {"split", "chunk_ms", "wer"} <= model["results"][0].keys()


def test_lines_that_are_no_results_are_left_out(tones, tmp_path):
    path = tmp_path / "mine.hb"
    path.write_bytes(tones.model.file.path.read_bytes())
    lines = '{"split": "a", "wer": 0.5, "chunk_ms": 0, "secret": 1}\nnonsense\n[]\n{"wer": 1}\n'
    path.with_suffix(".results.jsonl").write_text(lines)

    async def get():
        async with (
            running(Recognizer(path)) as bench,
            bench.http.get(bench.server.make_url("/v1/models/halfbyte")) as answer,
        ):
            return (await answer.json())["results"]

    assert asyncio.run(get()) == [{"split": "a", "wer": 0.5, "chunk_ms": 0}]
