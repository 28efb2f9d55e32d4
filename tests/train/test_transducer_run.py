"""A transducer from training to text: what is trained is what the file says, streamed or not."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from train.corpus import write_corpus

import halfbyte as device
from halfbyte import _core
from halfbyte.blocks.transducer_loss import BLANK
from halfbyte.cli import main
from halfbyte.data.audio import read_audio
from halfbyte.data.fbank import log_mel
from halfbyte.engine import ModelFile, Session
from halfbyte.errors import ModelFileError
from halfbyte.export.onnx_model import compile_folder, export
from halfbyte.families.registry import find_family
from halfbyte.families.transducer.validation import greedy_tokens
from halfbyte.train.checkpoint import load_checkpoint

FAMILY = find_family("transducer")


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A short run in W4A8, exported and compiled."""
    folder = tmp_path_factory.mktemp("transducer")
    corpus = write_corpus(folder / "corpus")
    (folder / "config.yaml").write_text(f"""\
name: tones
family: transducer
data: {{root: {corpus}, train: [train.jsonl], dev: [train.jsonl], batch_s: 8,
       cache: {folder}/cache}}
tokens: {{kind: characters, size: 20}}
model:
  encoder: {{width: 32, num_heads: 2, num_layers: 1, feed_forward: 48, kernel: 5,
             subsampling: 4, subsampling_channels: 8, left_context: 16, dropout: 0.0}}
  predictor_width: 16
  joint_width: 32
  dynamic_chunk: 8
augment: {{time_masks: 0, frequency_masks: 0, noise_chance: 0.0}}
optimizer: {{peak_rate: 5e-3, warmup_steps: 5}}
loop: {{epochs: 14, precision: 32-true, accelerator: cpu, average_last: 1, threads: 1}}
""")
    assert main(["train", str(folder / "config.yaml"), "--run", str(folder / "run")]) == 0
    export(folder / "run" / "result", folder / "onnx")
    compile_folder(folder / "onnx", folder / "tones.hb")
    return folder


def test_it_learns(work):
    lines = (work / "run" / "metrics.jsonl").read_text().splitlines()
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    assert last["transducer"] < 0.6 * first["transducer"]
    assert last["ctc"] < first["ctc"]


def test_what_is_deployed_is_what_was_trained(work, halfbyte):
    done = halfbyte("info", work / "tones.hb", "--verify", work / "run", "--json")
    assert done.status == 0, done
    names = {layer["name"]: layer["number_format"] for layer in json.loads(done.out)["layers"]}
    assert {names[n] for n in ("joint.output", "predictor.mix", "project", "ctc")} == {"w4a8"}


def test_graphs_of_the_file_are_those_of_training(work):
    """Operator by operator; inputs that differ, so that none is taken for another."""
    _, _, model = load_checkpoint(work / "run" / "result")
    file, graphs = ModelFile(work / "tones.hb"), FAMILY.graphs(model)
    random = np.random.default_rng(1)
    rows = random.normal(size=(2, 5, 1, 32)).astype(np.float32)
    given = {
        "predictor": {"tokens": random.integers(0, 9, (5, 2))},
        "joiner": {"encoded": rows[0], "predicted": rows[1]},
    }
    for name, inputs in given.items():
        expected = graphs[name].run({k: torch.from_numpy(v) for k, v in inputs.items()})
        for output, tensor in Session(file, name).run(inputs).items():
            found = np.frombuffer(tensor.data, np.float32).reshape(tensor.shape)
            np.testing.assert_allclose(found, expected[output].numpy(), atol=1e-5)


def test_validation_searches_as_the_device(work):
    config, _, model = load_checkpoint(work / "run" / "result")
    with torch.no_grad():
        # So that it says many tokens, whatever it has learned.
        model.joint.output.weight.normal_(generator=torch.Generator().manual_seed(1))
        model.joint.output.bias.zero_()
    found = []
    for i in range(6):
        samples = read_audio(work / "corpus" / f"{i}.wav", 16000)
        features = log_mel(samples, config.features)[None]
        with torch.no_grad():
            encoded, num_steps = model.encoder(features, torch.tensor([features.shape[1]]))
            rows = model.projected(encoded)
            (expected,) = greedy_tokens(model, rows, num_steps)
        search = search_of(model, beam=1)
        search.accept(rows[0].contiguous())
        assert search.best()[0].tokens == expected
        found.append(expected)
    assert any(found)


def search_of(model, beam: int) -> _core.decode.TransducerSearch:
    """A search that asks the model in torch."""
    graphs = FAMILY.graphs(model)

    def predictor(tokens):
        contexts = torch.from_numpy(np.asarray(tokens))
        return graphs["predictor"].run({"tokens": contexts})["predicted"][:, 0].contiguous()

    def joiner(encoded, predicted):
        rows = [torch.from_numpy(np.asarray(x))[:, None] for x in (encoded, predicted)]
        inputs = {"encoded": rows[0], "predicted": rows[1]}
        return graphs["joiner"].run(inputs)["log_probs"][:, 0].contiguous()

    settings = {"beam": beam, "max_symbols": model.config.max_symbols}
    num_tokens = model.joint.output.out_features
    return _core.decode.TransducerSearch(predictor, joiner, num_tokens, BLANK, **settings)


@pytest.mark.parametrize("mode", ["greedy", "beam"])
def test_a_stream_in_pieces_hears_what_it_hears_at_once(work, mode):
    recognizer = device.Recognizer(work / "tones.hb")
    samples = read_audio(work / "corpus" / "2.wav", 16000)
    texts = []
    for piece in (len(samples), 997):
        stream = recognizer.stream(chunk_ms=320, mode=mode)
        events = []
        for first in range(0, len(samples), piece):
            events += stream.accept(samples[first : first + piece])
        events += stream.finish()
        texts.append([e.text for e in events if isinstance(e, device.Text) and e.is_final])
    assert texts[0] == texts[1]


def test_eval_gives_the_same_of_checkpoint_and_file(work, halfbyte):
    found = []
    for model in (work / "run", work / "tones.hb"):
        done = halfbyte("eval", model, work / "corpus" / "train.jsonl", "--json")
        assert done.status == 0, done
        found.append(json.loads(done.out)["wer"])
    assert found[0] == pytest.approx(found[1], abs=0.1)  # float operators differ in last bits


def test_a_file_without_its_joiner_is_refused(work, tmp_path):
    for name in ("encoder.onnx", "predictor.onnx", "model.json", "test_vector.npz"):
        content = (work / "onnx" / name).read_bytes()
        (tmp_path / name).write_bytes(content)
    described = json.loads((tmp_path / "model.json").read_text())
    described["graphs"] = ["encoder", "predictor"]
    (tmp_path / "model.json").write_text(json.dumps(described))
    with pytest.raises(ModelFileError, match="has no graph 'joiner', which the family"):
        compile_folder(tmp_path, tmp_path / "tones.hb")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("model.beam=0", "model.beam is 0; expected 1 to 1000"),
        ("model.max_symbols=0", "model.max_symbols is 0; expected 1 to 100"),
        ("model.joint=concat", "model.joint is 'concat'; expected additive or multiplicative"),
        ("model.ctc_weight=1", "model.ctc_weight is 1"),
        ("model.fast_emit=-1", "model.fast_emit is -1"),
    ],
)
def test_a_setting_out_of_range_is_one_line(work, halfbyte, setting, problem, tmp_path):
    done = halfbyte("train", work / "config.yaml", "--run", tmp_path / "run", setting)
    assert done.is_mistake(), done
    assert problem in done.err
