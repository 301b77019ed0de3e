"""What is written down about settings and metrics is what the code does."""

from pathlib import Path

import pytest

from headwater import metrics_text, settings_text
from headwater.config import Config, load
from headwater.errors import ConfigError

ROOT = Path(__file__).parents[2]


def test_config_yaml_is_what_the_types_say():
    assert (ROOT / "config.yaml").read_text("utf-8") == settings_text.render()


def test_config_yaml_gives_the_defaults():
    assert load(ROOT / "config.yaml", {}) == Config()


def test_metrics_page_is_what_the_code_counts():
    assert (ROOT / "docs/metrics.md").read_text("utf-8") == metrics_text.render()


def test_every_unknown_key_is_named_at_once(tmp_path: Path):
    file = tmp_path / "c.yaml"
    file.write_text("http: {listn: 127.0.0.1:1}\nlake: {flush_evry: 1s}\n")
    with pytest.raises(ConfigError) as caught:
        load(file, {"HEADWATER_MQTT__LISTEN": "nonsense"})
    text = str(caught.value)
    assert "3 mistakes" in text
    assert "http.listn: there is no such key" in text
    assert "lake.flush_evry: there is no such key" in text
    assert "mqtt.listen: 'nonsense' is not HOST:PORT" in text


def test_environment_comes_over_the_file_and_overrides_over_both(tmp_path: Path):
    file = tmp_path / "c.yaml"
    file.write_text("log: {partitions: 2}\nlake: {flush_every: 1m}\n")
    environment = {"HEADWATER_LOG__PARTITIONS": "3", "HEADWATER_LAKE__FLUSH_EVERY": "2s"}
    config = load(file, environment, lake__flush_every="500ms")
    assert config.log.partitions == 3
    assert config.lake.flush_every == 0.5


def test_an_empty_variable_is_an_empty_text():
    assert load(None, {"HEADWATER_MONGODB__USER": ""}).mongodb.user == ""


def test_a_value_can_come_from_a_file(tmp_path: Path):
    secret = tmp_path / "listen"
    secret.write_text("127.0.0.1:99\n")
    assert load(None, {"HEADWATER_HTTP__LISTEN_FILE": str(secret)}).http.listen == "127.0.0.1:99"
    with pytest.raises(ConfigError, match="No such file"):
        load(None, {"HEADWATER_HTTP__LISTEN_FILE": str(secret) + "x"})


@pytest.mark.parametrize("text", ["- a\n", "http: [", "http: 5\n", "models: {a: {fields: {x: {min: 2, max: 1}}}}\n"])
def test_a_file_of_another_shape_is_a_configuration_error(tmp_path: Path, text: str):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        load(file, {})


@pytest.mark.parametrize("text", ['["a:1", "b:2"]', "[a:1, b:2]", "['a:1', 'b:2']"])
def test_a_list_in_a_variable_is_json_or_yaml(text: str):
    assert load(None, {"HEADWATER_KAFKA__SERVERS": text}).kafka.servers == ("a:1", "b:2")
