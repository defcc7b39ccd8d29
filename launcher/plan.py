"""What is to run: ports, addresses and the environment of the programs, from the user's settings and our defaults."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from preflight import machine

PORTS = {"EMBEDDED_LLM_PORT": 8008, "EMBEDDED_TTS_PORT": 9088, "MEGASERVICE_PORT": 9500, "MEGATALK_PORT": 8501}

# Where each embedded program is reached, and so whether it is wanted.
_EMBEDDED = {"EMBEDDED_LLM_PORT": "LLM_ENDPOINT", "EMBEDDED_TTS_PORT": "TTS_ENDPOINTS"}
_ON_THIS_MACHINE = r"http://(?:127\.0\.0\.1|localhost):{}\b"


class BadSetting(Exception):
    """The message says which variable and what it wants."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`env` is for all programs. Where the user names her own LLM or voices, an embedded one runs only if named too."""

    env: dict[str, str]
    ports: dict[str, int]

    @property
    def megaservice_url(self) -> str:
        return _local(self.ports["MEGASERVICE_PORT"])

    @property
    def page_url(self) -> str | None:
        return _local(self.ports["MEGATALK_PORT"]) if "MEGATALK_PORT" in self.ports else None

    @property
    def llm_url(self) -> str | None:
        """Of the embedded LLM, if it is to run."""
        return _local(self.ports["EMBEDDED_LLM_PORT"]) if "EMBEDDED_LLM_PORT" in self.ports else None

    @property
    def voice_url(self) -> str | None:
        """Of the embedded voice, if it is to run."""
        return _local(self.ports["EMBEDDED_TTS_PORT"]) if "EMBEDDED_TTS_PORT" in self.ports else None

    @property
    def log_dir(self) -> Path:
        return Path(self.env["LOG_DIR"])

    @property
    def audio_dir(self) -> Path:
        return Path(self.env["AUDIO_DIR"])


def make(given: Mapping[str, str], *, page: bool, any_port: bool = False) -> Plan:
    """`given` is the environment over .env. With `any_port` it runs beside a stack that has the usual ports."""
    env = {name: value for name, value in given.items() if value}
    wanted = ["MEGASERVICE_PORT"]
    wanted += [name for name, setting in _EMBEDDED.items() if setting not in env or _names(env[setting], name, env)]
    if page:
        wanted.append("MEGATALK_PORT")
    ports = _free_ports(wanted) if any_port else {name: _port(name, env) for name in wanted}
    env |= {name: str(port) for name, port in ports.items()}
    env["MEGASERVICE_URL"] = _local(ports["MEGASERVICE_PORT"])
    if "EMBEDDED_LLM_PORT" in ports:
        env["LLM_ENDPOINT"] = _local(ports["EMBEDDED_LLM_PORT"]) + "/v1"
    if "EMBEDDED_TTS_PORT" in ports:
        voice = _local(ports["EMBEDDED_TTS_PORT"])
        usual = _ON_THIS_MACHINE.format(_port("EMBEDDED_TTS_PORT", given))
        env["TTS_ENDPOINTS"] = re.sub(usual, voice, env.get("TTS_ENDPOINTS", f"openai+{voice}/v1"))
    env.setdefault("AUDIO_DIR", "audio")
    env.setdefault("LOG_DIR", "logs")
    env["PYTHONUNBUFFERED"] = "1"  # their last words must reach the log
    return Plan(env, ports)


def _names(addresses: str, name: str, env: Mapping[str, str]) -> bool:
    """Whether the port of the embedded program `name` is among the addresses."""
    return re.search(_ON_THIS_MACHINE.format(_port(name, env)), addresses) is not None


def _port(name: str, env: Mapping[str, str]) -> int:
    try:
        return machine.port_number(name, env.get(name, str(PORTS[name])))
    except ValueError as exc:
        raise BadSetting(str(exc)) from exc


def _free_ports(names: list[str]) -> dict[str, int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
    for one in sockets:
        one.close()
    return ports


def _local(port: int) -> str:
    return f"http://127.0.0.1:{port}"
