import os
from pathlib import Path

import pytest

from megaservice.errors import SettingsError
from megaservice.settings import FAMILIES, Settings, load
from megaservice.upstreams import Dialect, SpeechEndpoint


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(FAMILIES):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def faults_of(monkeypatch: pytest.MonkeyPatch, **environ: str) -> tuple[str, ...]:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load()
    return caught.value.faults


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ("vllm-openvino:8008", "http://vllm-openvino:8008/v1"),
        ("http://vllm-openvino:8008", "http://vllm-openvino:8008/v1"),
        ("http://vllm-openvino:8008/", "http://vllm-openvino:8008/v1"),
        ("http://ovms:8000/v3", "http://ovms:8000/v3"),
        ("https://llm.example/openai/v1/", "https://llm.example/openai/v1"),
    ],
)
def test_llm_endpoint_gets_v1_where_it_names_no_path(
    monkeypatch: pytest.MonkeyPatch, given: str, endpoint: str
) -> None:
    monkeypatch.setenv("LLM_ENDPOINT", given)
    assert load()[0].LLM_ENDPOINT == endpoint


def test_tts_endpoints_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_ENDPOINTS", "sovits-v2+http://gpt-sovits:9880, openai+http://tts:9088/v1/,")
    assert load()[0].TTS_ENDPOINTS == (
        SpeechEndpoint(Dialect.SOVITS_V2, "http://gpt-sovits:9880"),
        SpeechEndpoint(Dialect.OPENAI, "http://tts:9088/v1"),
    )


def test_label_of_an_endpoint_keeps_no_password() -> None:
    endpoint = SpeechEndpoint(Dialect.OPENAI, "http://user:secret@tts:9088/v1")
    assert endpoint.label == "openai+http://tts:9088/v1"


def test_each_fault_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults_of(
        monkeypatch,
        LLM_MAX_MODEL_LEN="1",
        LLM_ENDPOINT="ftp://somewhere",
        LOG_LEVEL="info",
        LOG_PAYLOADS="perhaps",
        TTS_ENDPOINTS="espeak+http://tts:1",
        vllm_openvino_device="CPU",
    ) == (
        "vllm_openvino_device: is not a known name; write it VLLM_OPENVINO_DEVICE",
        "LLM_ENDPOINT: got 'ftp://somewhere', wants a URL such as http://host:port/path",
        "LLM_MAX_MODEL_LEN: got '1', wants greater than or equal to 512",
        "TTS_ENDPOINTS: got 'espeak+http://tts:1', wants dialect+url with a dialect of sovits-v2, sovits-v1, openai",
        "LOG_LEVEL: got 'info', wants 'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
        "LOG_PAYLOADS: got 'perhaps', wants a valid boolean, unable to interpret input",
    )


@pytest.mark.parametrize(
    "value",
    [
        "http://",
        "http://host:port",
        "http://host:99999",
        "http://host/?q=1",
        "http://a host",
        "sovits-v2+gpt-sovits:9880",
    ],
)
def test_what_is_no_url_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    name = "TTS_ENDPOINTS" if "+" in value else "LLM_ENDPOINT"
    assert faults_of(monkeypatch, **{name: value}) == (
        f"{name}: got {value!r}, wants a URL such as http://host:port/path",
    )


def test_a_key_is_never_shown() -> None:
    settings = Settings(LLM_API_KEY="sk-secret")
    assert "sk-secret" not in repr(settings)


def test_unknown_name_of_a_family_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_TEMPRATURE", "1")
    assert load()[1] == ("LLM_TEMPRATURE: is not a known setting and is ignored",)


def test_environment_wins_over_env_file_and_empty_counts_as_unset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("LLM_MODEL_ID=from-file\nLLM_MAX_TOKENS=99\nLLM_TOP_P=\n", encoding="utf-8")
    monkeypatch.setenv("LLM_MODEL_ID", "from-environment")
    settings, warnings = load(env_file)
    assert (settings.LLM_MODEL_ID, settings.LLM_MAX_TOKENS, settings.LLM_TOP_P, warnings) == (
        "from-environment",
        99,
        0.9,
        (),
    )


def test_wrongly_cased_name_in_env_file_stops_the_start(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("Llm_Endpoint=http://x:1\n", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(env_file)
    assert caught.value.faults == ("Llm_Endpoint: is not a known name; write it LLM_ENDPOINT",)


def test_env_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes("LLM_MODEL_ID=é".encode("latin-1"))
    with pytest.raises(SettingsError) as caught:
        load(env_file)
    assert caught.value.faults == (f"{env_file}: is not in UTF-8",)


def test_a_fault_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    (fault,) = faults_of(monkeypatch, LLM_ENDPOINT="http://user:geheim@host:99999")
    assert fault == "LLM_ENDPOINT: got 'http://…@host:99999', wants a URL such as http://host:port/path"
