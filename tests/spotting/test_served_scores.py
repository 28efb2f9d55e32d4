"""A client of the server chooses the least score of its detections."""

import asyncio

import pytest
from serve.clients import running
from spotting.test_pipeline import Scripted, script

from halfbyte import Recognizer
from halfbyte.serve.messages import settings_of
from halfbyte.serve.refusals import RefusedError


def scores_of(**settings):
    async def talk():
        async with running(Recognizer(Scripted(script()))) as bench, bench.client() as client:
            ready = await client.start(**settings)
            assert ready["min_score"] == settings.get("min_score")
            return await client.play(bytes(2 * 64000))

    return [e["score"] for e in asyncio.run(talk()) if e["type"] == "detection"]


def test_a_stream_has_the_least_score_that_was_asked_for():
    every = scores_of(min_score=0)
    high = scores_of(min_score=0.8)
    assert high == [score for score in every if score >= 0.8]
    assert 0 < len(high) < len(every)
    assert len(scores_of()) < len(every)  # "no" has a threshold of 0.9


@pytest.mark.parametrize("score", [-0.1, 1.5, 10**400, "high", True, float("nan")])
def test_a_score_outside_its_range_is_refused(score):
    with pytest.raises(RefusedError, match=r"min_score is .*; expected a score, 0 to 1"):
        settings_of({"type": "start", "min_score": score})
