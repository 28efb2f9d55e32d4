"""Configurations: filled from YAML and overrides, each mistake one line that helps."""

from pathlib import Path

import pytest

from halfbyte.blocks.whisper import WhisperConfig
from halfbyte.errors import ConfigError
from halfbyte.families.u2.config import ModelConfig
from halfbyte.train.config import TrainConfig, dump_config, load_config

DEFAULTS = TrainConfig(family="u2", model=ModelConfig())
RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*/config.yaml"))


def load(folder: Path, text: str, *overrides: str) -> TrainConfig:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, ["family=u2", *overrides])


def mistake(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_empty_file_gives_the_defaults(tmp_path, text):
    assert load(tmp_path, text) == DEFAULTS


def test_keys_fill_their_sections(tmp_path):
    config = load(
        tmp_path,
        """
name: small
data: {train: [a.jsonl, b.jsonl], batch_s: 40}
model: {encoder: {width: 96}}
augment: {speeds: [0.95, 1, 1.05], noise_snr_db: [0, 20]}
quantization: {default: w8a8, layers: {encoder.*: w4a8}}
""",
    )
    assert config.name == "small"
    assert config.data.train == ["a.jsonl", "b.jsonl"]
    assert config.data.batch_s == 40.0
    assert config.model.encoder.width == 96
    assert config.model.encoder.num_layers == DEFAULTS.model.encoder.num_layers
    assert config.augment.speeds == (0.95, 1.0, 1.05)
    assert config.augment.noise_snr_db == (0.0, 20.0)
    assert config.quantization.layers == {"encoder.*": "w4a8"}


def test_kind_chooses_among_sections(tmp_path):
    config = load(tmp_path, "model: {encoder: {kind: whisper, width: 64}}")
    assert config.model.encoder == WhisperConfig(width=64)
    assert config.model.decoder == DEFAULTS.model.decoder
    (tmp_path / "again.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "again.yaml") == config
    assert "model.encoder.kernel" in mistake(
        tmp_path, "", "model.encoder={kind: whisper, kernel: 3}"
    )
    message = mistake(tmp_path, "", "model.encoder.kind=lstm")
    assert message == "model.encoder kind is 'lstm'; expected conformer or whisper"


def test_overrides_win_and_later_ones_win_over_earlier(tmp_path):
    config = load(
        tmp_path,
        "loop: {epochs: 3}",
        "loop.epochs=4",
        "loop.epochs=5",
        "model.encoder.width=64",
        "data.train=[x.jsonl]",
        "quantization.default=float32",
    )
    assert config.loop.epochs == 5
    assert config.model.encoder.width == 64
    assert config.data.train == ["x.jsonl"]
    assert config.quantization.default == "float32"


@pytest.mark.parametrize("text", ["8e-4", "8.0e-4", "0.0008", "8E-4"])
def test_small_numbers_may_be_written_in_any_way(tmp_path, text):
    config = load(tmp_path, f"optimizer: {{weight_decay: {text}}}", f"optimizer.peak_rate={text}")
    assert config.optimizer.peak_rate == config.optimizer.weight_decay == 8e-4


def test_what_is_dumped_loads_again(tmp_path):
    config = load(
        tmp_path,
        "augment: {speeds: [1]}",
        "optimizer.peak_rate=3e-5",
        "quantization.layers={decoder.*: w8a8}",
        "data.train=[ä.jsonl]",
    )
    assert load(tmp_path, dump_config(config)) == config


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("model.encoder.widht=3", "width"),
        ("lop=3", "loop"),
        ("optimizer.peakrate=1", "peak_rate"),
        ("data.xyzzy=1", "'"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(tmp_path, key, nearest):
    message = mistake(tmp_path, "", key)
    assert f"unknown configuration key '{key.partition('=')[0]}'" in message
    assert nearest in message.partition("did you mean")[2]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("loop.epochs=many", "loop.epochs is 'many'; expected int"),
        ("loop.epochs=2.5", "loop.epochs is 2.5; expected int"),
        ("loop.epochs=true", "loop.epochs is True; expected int"),
        ("optimizer.peak_rate=fast", "optimizer.peak_rate is 'fast'; expected float"),
        ("optimizer.peak_rate=true", "optimizer.peak_rate is True; expected float"),
        ("optimizer.peak_rate=", "optimizer.peak_rate is None; expected float"),
        ("name=3", "name is 3; expected str"),
        ("data.train=a.jsonl", "data.train is 'a.jsonl'; expected list"),
        ("data.train=[1]", "data.train[0] is 1; expected str"),
        ("augment.noise_snr_db=[5]", "augment.noise_snr_db is [5]; expected 2 values"),
        ("augment.speeds=[fast]", "augment.speeds[0] is 'fast'; expected float"),
        ("model.encoder=3", "model.encoder is 3; expected a section"),
        ("quantization.layers.x=4", "quantization.layers.x is 4; expected str"),
        ("loop.epochs", "has no value; expected key=value"),
        ("loop.epochs=[1", "the value is not YAML"),
        ("name.first=x", "'name' is a value, not a section"),
    ],
)
def test_an_ill_typed_value_is_named(tmp_path, override, said):
    assert said in mistake(tmp_path, "name: x", override)


def test_a_negative_norm_of_the_gradient_is_a_mistake(tmp_path):
    said = mistake(tmp_path, "name: x", "optimizer.gradient_clip=-1.0")
    assert "optimizer.gradient_clip is -1.0; expected the largest norm, or 0" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n- b", "holds a list; expected keys and values"),
        ("just words", "holds a str; expected keys and values"),
        ("a: [1", "is not YAML"),
        ("data:\n", "data is None; expected a section"),
        ("1: 2", "unknown configuration key '1'"),
        ("name: !!python/object:os.system x", "is not YAML"),
    ],
)
def test_a_file_of_another_kind_is_a_mistake(tmp_path, text, said):
    assert said in mistake(tmp_path, text)
    assert said in mistake(tmp_path, text, "loop.epochs=3") or text == "data:\n"


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path):
    for path in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(ConfigError, match="cannot read configuration"):
            load_config(path)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_every_recipe_loads(path):
    assert load_config(path).data.train
