"""The page in a headless Chromium, with a recording as the microphone: words are seen in it.

Without Chromium and its driver these tests are not run, and the last lines of the run say so.
"""

import asyncio
import base64
import json
import threading
import time

import numpy as np
import pytest
import soundfile
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from serve import browser
from serve.clients import running
from tones import recording

from halfbyte import StreamOptions
from halfbyte import finals as finals_of
from halfbyte.listen.events import Text, Word
from halfbyte.listen.subtitles import as_srt
from halfbyte.serve.access import Access

pytestmark = pytest.mark.skipif(
    not browser.IS_THERE,
    reason="NOT RUN: the web page in a browser; on Debian: apt install chromium chromium-driver",
)

WAIT_S = 60  # on a busy machine


class Page:
    """What a user sees and does."""

    def __init__(self, driver, url):
        self.driver = driver
        driver.get(url)
        self.wait(lambda: self.status() == "Ready")

    def __getitem__(self, name):
        return self.driver.find_element("id", name)

    def status(self):
        return self["status"].text

    def lines(self, kind=".said"):
        """Texts without their times; what is still fading in counts."""
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        found = self.driver.execute_script(script, f"#transcript {kind} .words")
        return [" ".join(line.split()) for line in found]

    def times(self):
        """Where the lines begin, as they show it."""
        script = "return [...document.querySelectorAll('#transcript time')].map((e) => e.dateTime)"
        return self.driver.execute_script(script)

    def wait(self, condition):
        deadline_s = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline_s, (self.status(), self.lines(), self.problems())
            time.sleep(0.05)

    def problems(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def microphone(tmp_path_factory):
    """A recording of two segments, at the rate of most sound cards."""
    path = tmp_path_factory.mktemp("microphone") / "talk.wav"
    samples = recording("low high mid low high mid", pause_s=0.1)
    soundfile.write(path, samples, 16000, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return tmp_path_factory.mktemp("profile")


@pytest.fixture(scope="module")
def driver(microphone, profile):
    with browser.chromium(profile, microphone) as driver:
        yield driver


@pytest.fixture
def page(driver, server):
    page = Page(driver, server.url)
    yield page
    assert page.problems() == []


# Keeps what the page sends: the start message, and the samples as base64.
RECORD = """
const send = WebSocket.prototype.send;
window.sent = [];
WebSocket.prototype.send = function (message) {
  window.sent.push(typeof message === "string" ? message : new Uint8Array(message.buffer));
  return send.call(this, message);
};
"""
SENT = """
return window.sent.map((m) => (typeof m === "string" ? m : btoa(String.fromCharCode(...m))));
"""


def sent_sound(driver):
    """What the page has sent: its rate and its samples."""
    start, *blocks, finish = driver.execute_script(SENT)
    assert json.loads(finish) == {"type": "finish"}
    samples = b"".join(base64.b64decode(block) for block in blocks)
    return json.loads(start)["sample_rate_hz"], np.frombuffer(samples, np.int16)


def test_words_of_the_microphone(page, driver, tones):
    driver.execute_script(RECORD)
    page["microphone"].click()
    page.wait(lambda: page.lines(".is-partial") and page["microphone-label"].text == "Stop")
    page.wait(lambda: page.lines(".said:not(.is-partial)"))
    page["microphone"].click()
    page.wait(lambda: page.status() == "Ready")
    words = " ".join(page.lines()).split()
    assert words[-6:] == ["low", "high", "mid", "low", "high", "mid"]
    assert page["latency-value"].text.endswith(" ms")
    rate_hz, samples = sent_sound(driver)
    stream = tones.stream(StreamOptions(sample_rate_hz=rate_hz))
    events = stream.accept(samples.astype(np.float32) / 32768) + stream.finish()
    assert page.lines() == [event.text for event in finals_of(events) if event.text]


def test_a_file_gives_what_transcribe_gives(page, talk, finals):
    page["file"].send_keys(str(talk))
    page.wait(lambda: page.status().startswith("talk.wav: "))
    assert page.lines() == [final["text"] for final in finals]


def test_a_file_played_aloud(page, microphone):
    page["aloud"].click()
    page["file"].send_keys(str(microphone))
    page.wait(lambda: page.status() == "Playing talk.wav")
    page.wait(lambda: page.status() == "Ready")
    assert " ".join(page.lines()) == "low high mid low high mid"
    page["aloud"].click()


def test_a_file_that_is_no_sound_is_said(page, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("these are words")
    page["file"].send_keys(str(path))
    page.wait(lambda: page.status() == "words.txt is not audio that this browser can read")
    assert page["microphone"].is_enabled()


def test_the_chunk_changes_while_the_microphone_is_open(page):
    page["microphone"].click()
    page.wait(lambda: page.status() == "Listening")
    options = page["chunk"].find_elements("tag name", "option")
    next(option for option in options if option.text == "120 ms").click()
    page.wait(lambda: "mid" in " ".join(page.lines()))
    page["microphone"].click()
    page.wait(lambda: page.status() == "Ready")


def test_saved_files(page, talk, finals, profile):
    page["file"].send_keys(str(talk))
    page.wait(lambda: page["save-srt"].is_enabled() and "talk.wav: " in page.status())
    page["save-text"].click()
    page["save-srt"].click()
    events = [
        Text(f["text"], True, f["start_s"], f["end_s"], [Word(**word) for word in f["words"]])
        for f in finals
    ]
    expected = {
        "transcript.txt": "\n".join(event.text for event in events) + "\n",
        "transcript.srt": as_srt(events),
    }
    for name, content in expected.items():
        page.wait((profile / name).exists)
        assert (profile / name).read_text() == content
    page["clear"].click()
    assert page.lines() == []
    assert not page["save-text"].is_enabled()


def test_times_begin_anew_once_the_transcript_is_cleared(page, talk, finals):
    def times_of_a_file():
        num_lines = len(page.lines()) + len(finals)
        page["file"].send_keys(str(talk))
        page.wait(lambda: len(page.lines()) == num_lines and page["open"].is_enabled())
        return page.times()

    first = times_of_a_file()
    assert times_of_a_file()[len(first)] != first[0]  # one transcript of both
    page["clear"].click()
    assert times_of_a_file() == first


def test_the_keyboard_reaches_everything_in_order(page, driver):
    names = []
    for _ in range(6):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        focused = driver.switch_to.active_element
        names.append(focused.get_attribute("id") or focused.text)
    expected = ["Skip to the transcript", "microphone", "open", "chunk", "aloud", "transcript"]
    assert names == expected
    page["microphone"].send_keys(Keys.SPACE)
    page.wait(lambda: page.status() == "Listening")
    page["microphone"].send_keys(Keys.SPACE)
    page.wait(lambda: page.status() == "Ready")


def test_what_a_screen_reader_hears(page, talk):
    log = page["transcript"]
    assert (log.get_attribute("role"), log.get_attribute("aria-live")) == ("log", "polite")
    page["microphone"].click()
    page.wait(lambda: page.lines(".is-partial"))
    partial = log.find_element("css selector", ".is-partial")
    assert partial.get_attribute("aria-live") == "off"
    page["microphone"].click()
    page.wait(lambda: page.status() == "Ready")
    for name in ("level", "latency"):
        assert page[name].get_attribute("aria-valuetext")


@pytest.fixture
def short_lived(tones):
    """A server of its own, which asks for a token: its address, and what ends it."""
    found = {}
    is_ready = threading.Event()

    async def serve():
        async with running(tones, access=Access(token="secret")) as bench:
            found["loop"], found["stop"] = asyncio.get_running_loop(), asyncio.Event()
            found["url"] = str(bench.server.make_url("/"))
            is_ready.set()
            await found["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_ready.wait(10)
    stop = lambda: found["loop"].call_soon_threadsafe(found["stop"].set)  # noqa: E731
    yield found["url"], stop
    thread.join()


def test_a_server_that_asks_for_a_token_and_goes_away(driver, short_lived):
    url, stop = short_lived
    driver.get(url)
    says_so = "return document.getElementById('status').textContent.includes('#token=')"
    WebDriverWait(driver, WAIT_S).until(lambda _: driver.execute_script(says_so))
    offered = "return ['microphone', 'open'].some(id => !document.getElementById(id).disabled)"
    assert not driver.execute_script(offered)
    page = Page(driver, f"{url}#token=secret")
    page["microphone"].click()
    page.wait(lambda: page.status() == "Listening")
    stop()
    page.wait(lambda: "is-wrong" in page["status"].get_attribute("class"))
    assert "server" in page.status()
    assert page["microphone-label"].text == "Start microphone"
    page.problems()
