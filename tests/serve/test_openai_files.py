"""`POST /v1/audio/transcriptions` with OpenAI's own Python client, and with odd requests."""

import asyncio
import io
import urllib.error
import urllib.request

import aiohttp
import numpy as np
import openai
import pytest
import soundfile
from serve.clients import running

from halfbyte import StreamOptions
from halfbyte.listen.subtitles import as_srt, as_vtt
from halfbyte.serve.settings import Limits


@pytest.fixture(scope="session")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def transcribe(client, talk):
    """Calls the client with the talk."""
    return lambda **options: client.audio.transcriptions.create(model="tones", file=talk, **options)


def test_json_is_what_transcribe_gives(transcribe, text, talk):
    answer = transcribe()
    assert answer.text == text
    assert answer.usage.seconds == pytest.approx(soundfile.info(talk).duration, abs=1e-3)


def test_text(transcribe, text):
    assert transcribe(response_format="text") == text + "\n"


@pytest.mark.parametrize(("form", "subtitles"), [("srt", as_srt), ("vtt", as_vtt)])
def test_subtitles(transcribe, tones, talk, form, subtitles):
    assert transcribe(response_format=form) == subtitles(
        tones.transcribe(talk, StreamOptions(chunk_ms=None))
    )


def test_verbose_json(transcribe, text, finals):
    answer = transcribe(response_format="verbose_json", timestamp_granularities=["segment", "word"])
    words = [word for final in finals for word in final["words"]]
    assert answer.text == text
    assert answer.language == ""  # the model of tones has none
    assert [segment.text for segment in answer.segments] == [final["text"] for final in finals]
    assert [segment.id for segment in answer.segments] == list(range(len(finals)))
    assert all(-14 < segment.avg_logprob <= 0 for segment in answer.segments)
    assert [(w.word, w.start, w.end) for w in answer.words] == [
        (w["text"], w["start_s"], w["end_s"]) for w in words
    ]


def test_granularities(transcribe):
    segments = transcribe(response_format="verbose_json")
    words = transcribe(response_format="verbose_json", timestamp_granularities=["word"])
    assert (segments.words, words.segments) == (None, None)
    assert segments.segments
    assert words.words


def test_full_context_on_request(transcribe, tones, talk):
    answer = transcribe(extra_body={"chunk_ms": "0"})
    assert answer.text == " ".join(e.text for e in tones.transcribe(talk) if e.text)


def test_other_formats_of_audio(client, talk, tones):
    samples, rate_hz = soundfile.read(talk)
    flac = io.BytesIO()
    soundfile.write(flac, samples, rate_hz, format="FLAC")
    flac.seek(0)
    answer = client.audio.transcriptions.create(model="x", file=("talk.flac", flac))
    events = tones.transcribe(talk, StreamOptions(chunk_ms=None))
    assert answer.text == " ".join(e.text for e in events if e.text)


def test_a_channel_on_request(client, talk, tones, tmp_path):
    samples, rate_hz = soundfile.read(talk)
    soundfile.write(tmp_path / "two.wav", np.stack([0 * samples, samples], 1), rate_hz)
    events = tones.transcribe(talk, StreamOptions(chunk_ms=None))
    heard = " ".join(e.text for e in events if e.text)
    for channel, text in ((1, ""), (2, heard)):
        answer = client.audio.transcriptions.create(
            model="x", file=tmp_path / "two.wav", extra_body={"channel": str(channel)}
        )
        assert answer.text == text


def test_a_file_that_was_cut_short_is_named(client, talk):
    whole = talk.read_bytes()
    half = ("cut.wav", whole[: len(whole) // 2])
    answer = client.audio.transcriptions.create(model="x", file=half)
    missing_s = soundfile.info(talk).duration - answer.usage.seconds
    assert answer.warning == (
        f"the file ends {missing_s:.2f} s before its header says; read to its end"
    )


def test_a_whole_file_gets_no_warning(transcribe):
    assert "warning" not in transcribe().to_dict()


@pytest.mark.parametrize(
    ("file", "options", "named"),
    [
        (b"these are words, not sound", {}, "clip.wav"),
        (b"", {}, "clip.wav"),
        (None, {"response_format": "diarized_json"}, "response_format"),
        (None, {"timestamp_granularities": ["syllable"]}, "syllable"),
        (None, {"extra_body": {"chunk_ms": "7"}}, "chunk_ms is 7;"),
        (None, {"extra_body": {"chunk_ms": "-1"}}, "chunk_ms"),
        (None, {"extra_body": {"channel": "left"}}, "channel is 'left'; expected a whole number"),
        (None, {"stream": True}, "/v1/realtime"),
    ],
    ids=str,
)
def test_mistakes_are_said_in_openais_form(client, talk, file, options, named):
    content = talk.read_bytes() if file is None else file
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.transcriptions.create(model="x", file=("clip.wav", content), **options)
    assert named in caught.value.body["message"]
    assert caught.value.body["type"] == "invalid_request_error"
    assert caught.value.body["code"] == ("bad_message" if file is None else "bad_audio")
    assert "/tmp" not in caught.value.body["message"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"nonsense"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF',
        ),
    ],
)
def test_bodies_that_are_none(server, kind, body):
    request = urllib.request.Request(
        f"{server.url}/v1/audio/transcriptions", body, {"Content-Type": kind}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert caught.value.code == 400
    assert b'"error"' in caught.value.read()


def test_the_model_is_listed(client):
    (model,) = client.models.list().data
    assert model.object == "model"
    assert client.models.retrieve(model.id) == model
    assert model.id == "tones"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


HEAD = (
    b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
)
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'


@pytest.mark.parametrize("body", [b"", PART[:20], PART + bytes(2000)], ids=["none", "some", "half"])
def test_a_client_that_leaves_while_it_sends_is_no_error_of_the_server(tones, caplog, body):
    async def leave():
        async with running(tones) as bench:
            _, writer = await asyncio.open_connection(bench.server.host, bench.server.port)
            writer.write(HEAD + body)
            await writer.drain()
            await asyncio.sleep(0.2)
            writer.close()
            await asyncio.sleep(0.2)

    asyncio.run(leave())
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_client_that_stalls_is_told(tones):
    async def stall():
        async with running(tones, limits=Limits(idle_s=0.2)) as bench:
            reader, writer = await asyncio.open_connection(bench.server.host, bench.server.port)
            writer.write(HEAD + PART)
            answer = await reader.readline()
            writer.close()
            return answer

    assert asyncio.run(stall()).startswith(b"HTTP/1.1 408 ")


def test_a_file_that_is_too_long_is_refused(tones):
    async def send():
        async with running(tones, limits=Limits(max_upload_bytes=100)) as bench:
            address = bench.server.make_url("/v1/audio/transcriptions")
            form = aiohttp.FormData({"model": "x"})
            form.add_field("file", bytes(101), filename="a.wav")
            async with bench.http.post(address, data=form) as answer:
                return answer.status, await answer.json()

    status, answer = asyncio.run(send())
    assert status == 413
    assert "100 bytes" in answer["error"]["message"]
