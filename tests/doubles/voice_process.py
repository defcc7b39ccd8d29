"""The inside of a voice server double: how long a synthesis takes, what fails next, and what was asked of it."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager

from fastapi import Request

from tests.doubles.speech_faults import Fault, FaultPlan, spoken_seconds


class VoiceProcess:
    """`requests` holds the fields of each synthesis asked for, in order; the counters say what the server saw."""

    def __init__(
        self,
        *,
        faults: Fault | Iterable[Fault | None] | None = None,
        seconds_per_sentence: float = 0.0,
        seconds_per_character: float = 0.0,
        sample_rate_hz: int = 32_000,
    ) -> None:
        self.faults = FaultPlan(faults)
        self.seconds_per_sentence = seconds_per_sentence
        self.seconds_per_character = seconds_per_character
        self.sample_rate_hz = sample_rate_hz
        self.requests: list[Mapping[str, object]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.finished = 0
        self.disconnects = 0
        self._arrival = threading.Condition()

    def wait_for_requests(self, count: int, timeout_seconds: float = 10.0) -> None:
        """For tests: blocks until so many syntheses were asked for."""
        with self._arrival:
            assert self._arrival.wait_for(lambda: len(self.requests) >= count, timeout_seconds)

    @asynccontextmanager
    async def synthesis(self, request: Request, fields: Mapping[str, object]) -> AsyncGenerator[Fault | None]:
        """Counts one synthesis; the fault that it is to have is what comes out."""
        self.requests.append(dict(fields))
        with self._arrival:
            self._arrival.notify_all()
        fault = self.faults.next()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if fault is Fault.HANG:
                await self._until_disconnected(request)
            yield fault
        finally:
            self.in_flight -= 1
            self.finished += 1
            if await request.is_disconnected():
                self.disconnects += 1

    async def work(self, text: str, fault: Fault | None) -> None:
        """The time that it takes to speak this text."""
        slow = 2 * spoken_seconds(text) if fault is Fault.SLOW else 0.0
        await asyncio.sleep(self.seconds_per_sentence + self.seconds_per_character * len(text) + slow)

    def seconds_of_speech(self, text: str, fault: Fault | None) -> float:
        if fault is Fault.ENDLESS:
            return 60.0
        return 0.12 if fault is Fault.SHORT else spoken_seconds(text)

    @staticmethod
    async def _until_disconnected(request: Request) -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
