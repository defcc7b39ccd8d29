import pytest

from launcher import plan

README_ENDPOINTS = "sovits-v2+http://192.168.1.20:9880,openai+http://127.0.0.1:9088/v1"


def test_everything_is_embedded_unless_the_user_names_her_own() -> None:
    made = plan.make({}, page=True)
    assert made.ports == plan.PORTS | {}
    assert (made.env["LLM_ENDPOINT"], made.env["TTS_ENDPOINTS"]) == (
        "http://127.0.0.1:8008/v1",
        "openai+http://127.0.0.1:9088/v1",
    )


def test_own_llm_and_voice_replace_the_embedded_ones() -> None:
    own = {"LLM_ENDPOINT": "http://192.168.1.20:11434/v1", "TTS_ENDPOINTS": "sovits-v2+http://192.168.1.20:9880"}
    made = plan.make(own, page=False)
    assert set(made.ports) == {"MEGASERVICE_PORT"}
    assert {name: made.env[name] for name in own} == own


def test_the_embedded_voice_runs_where_it_is_named_as_a_fallback() -> None:
    made = plan.make({"TTS_ENDPOINTS": README_ENDPOINTS}, page=False)
    assert "EMBEDDED_TTS_PORT" in made.ports
    assert made.env["TTS_ENDPOINTS"] == README_ENDPOINTS


def test_a_named_fallback_is_reached_at_another_port_too() -> None:
    made = plan.make({"TTS_ENDPOINTS": README_ENDPOINTS}, page=False, any_port=True)
    assert made.env["TTS_ENDPOINTS"] == f"sovits-v2+http://192.168.1.20:9880,openai+{made.voice_url}/v1"


def test_a_bad_port_is_told() -> None:
    with pytest.raises(plan.BadSetting, match="MEGATALK_PORT: got 'x', wants a port"):
        plan.make({"MEGATALK_PORT": "x"}, page=True)
