"""A protocol-true GPT-SoVITS: api_v2.py ("v2"), api.py ("v1") and OPEA's image ("opea"), with their ways to fail.

By hand: `python -m tests.doubles.gpt_sovits --port 9880 --flavour v2 --seconds-per-sentence 0.3 --fault silent`.
"""

import argparse
import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from starlette.types import ASGIApp

from tests.doubles.gpt_sovits_v1 import V1, Reference
from tests.doubles.gpt_sovits_v2 import V2
from tests.doubles.loopback import LoopbackServer
from tests.doubles.speech_faults import Fault
from tests.doubles.voice_process import VoiceProcess

__all__ = ["Fault", "Flavour", "GPTSoVITS", "Reference"]

Flavour = Literal["v2", "v1", "opea"]
OPEA_DEFAULT = Reference("./welcome_cn.wav", "欢迎使用", "zh")


class GPTSoVITS(LoopbackServer):
    """`faults` is one Fault for every synthesis, or one entry a synthesis and none after; REFUSE never listens.

    `references` are the files that the server can see, with their seconds (0: no audio); None: any path, 5 s each.
    `process` holds the requests and counters, and its speed and faults may be changed while it runs.
    """

    def __init__(
        self,
        flavour: Flavour = "v2",
        *,
        faults: Fault | Iterable[Fault | None] | None = None,
        seconds_per_sentence: float = 0.0,
        seconds_per_character: float = 0.0,
        sample_rate_hz: int = 32_000,
        references: Mapping[str, float] | None = None,
        default_reference: Reference | None = None,
        old: bool = False,
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self.flavour = flavour
        self._references = references
        self._default_reference = default_reference or (OPEA_DEFAULT if flavour == "opea" else Reference())
        self._old = old
        self.process = VoiceProcess(
            faults=faults,
            seconds_per_sentence=seconds_per_sentence,
            seconds_per_character=seconds_per_character,
            sample_rate_hz=sample_rate_hz,
        )

    def app(self) -> ASGIApp:
        if self.flavour == "v2":
            return V2(self.process, self._references, old=self._old).app()
        return V1(self.process, self._references, self._default_reference, opea=self.flavour == "opea").app()

    def start(self) -> None:
        if self.process.faults.always is not Fault.REFUSE:
            super().start()


def main() -> None:
    parser = argparse.ArgumentParser(description="A GPT-SoVITS double on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=9880)
    parser.add_argument("--flavour", choices=get_args(Flavour), default="v2")
    parser.add_argument("--seconds-per-sentence", type=float, default=0.0)
    parser.add_argument("--seconds-per-character", type=float, default=0.0)
    parser.add_argument("--fault", type=Fault, choices=list(Fault), default=None)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    with GPTSoVITS(
        options.flavour,
        faults=options.fault,
        seconds_per_sentence=options.seconds_per_sentence,
        seconds_per_character=options.seconds_per_character,
        port=options.port,
    ) as server:
        print(f"{server.flavour} on {server.url}; Ctrl-C ends it", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
