"""A recogniser in other processes: forked, and pickled for workers."""

import copy
import os
import pickle
import signal
import subprocess
import sys
from multiprocessing import get_context

import pytest
from listen.streams import feed
from paths import TONES
from tones import recording

from halfbyte import Event, Recognizer, Stream, StreamOptions

SENTENCE = recording("low high")
OPTIONS = StreamOptions(120, "rescoring")
PIECE = 5000


def heard(recognizer: Recognizer) -> list[Event]:
    return feed(recognizer.stream(OPTIONS), SENTENCE, PIECE)


FORK = """
import os, sys, time
from array import array
from threading import Thread
from halfbyte import Recognizer, StreamOptions
model, sound, what = sys.argv[1:]
samples = array("f", open(sound, "rb").read())
recognizer, is_over = Recognizer(model), False

def hear():
    stream = recognizer.stream(StreamOptions(120))
    return stream.accept(samples) + stream.finish()

def hear_on():
    while not is_over:
        hear()

expected = hear()
used = recognizer.stream(StreamOptions(120))
used.accept(samples[:9000])
Thread(target=hear_on).start()  # forks meet streams at work, and their locks
for _ in range(10):
    child = os.fork()
    if child == 0:
        if what == "hear":
            assert hear() == expected
        elif what == "go on":
            used.finish()
        elif what == "fork again":
            if hear() == expected and (grandchild := os.fork()):
                os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
            assert hear() == expected
        del recognizer, used
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
is_over = True
assert hear() == expected  # and the parent goes on
"""


@pytest.mark.parametrize("what", ["hear", "go on", "only end", "fork again"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_forked_children_hear_and_end(tmp_path, what, threads):
    sound = tmp_path / "sound"
    sound.write_bytes(SENTENCE.tobytes())
    environment = os.environ | {"HALFBYTE_THREADS": str(threads)}
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(TONES), str(sound), what]
    with subprocess.Popen(command, env=environment, start_new_session=True) as parent:
        try:
            assert parent.wait(timeout=100) == 0
        finally:
            if parent.poll() is None:
                os.killpg(parent.pid, signal.SIGKILL)


@pytest.mark.parametrize("passed_on", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy])
def test_a_recogniser_passed_on_hears_the_same(passed_on):
    recognizer = Recognizer(TONES)
    assert heard(passed_on(recognizer)) == heard(recognizer)


def test_workers_are_handed_a_recogniser():
    recognizer = Recognizer(TONES)
    for method in ("spawn", "fork"):
        with get_context(method).Pool(1) as pool:
            assert pool.apply(heard, (recognizer,)) == heard(recognizer)


def test_the_path_holds_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(TONES.parent)
    pickled = pickle.dumps(Recognizer(TONES.name))
    monkeypatch.chdir(tmp_path)
    assert heard(pickle.loads(pickled)) == heard(Recognizer(TONES))


def test_a_stream_passed_on_goes_on():
    stream = Recognizer(TONES).stream(OPTIONS)
    stream.accept(SENTENCE[:17000])
    other: Stream = pickle.loads(pickle.dumps(stream))
    rest = SENTENCE[17000:]
    assert feed(other, rest, PIECE) == feed(stream, rest, PIECE)
