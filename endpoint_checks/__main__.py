"""`python -m endpoint_checks`: one line of JSON a check, as it is done. Exit 0 when all were asked, whatever came."""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import AsyncGenerator
from dataclasses import asdict

from endpoint_checks import services, upstreams
from endpoint_checks.rows import Row
from megaservice.errors import SettingsError
from megaservice.settings import Settings, load
from megaservice.voices import load_voices


def main() -> int:
    parser = argparse.ArgumentParser(prog="endpoint_checks", description=__doc__)
    parser.add_argument("--megaservice", metavar="URL", default="http://127.0.0.1:9500")
    parser.add_argument("--page", metavar="URL", default="http://127.0.0.1:8501")
    given = parser.parse_args()
    logging.disable()  # what the clients log is told by the rows
    try:
        settings, _ = load()
        asyncio.run(_print(_checks(settings, given.megaservice, given.page)))
    except SettingsError as exc:
        print("The settings are wrong:", *exc.faults, sep="\n  ", file=sys.stderr)  # noqa: T201
        return 2
    return 0


async def _checks(settings: Settings, megaservice_url: str, page_url: str) -> AsyncGenerator[Row]:
    """One after another: a GPT-SoVITS that is asked twice at once mixes voices up, and times would mean nothing."""
    voice = load_voices(settings.TTS_VOICES_FILE).get(settings.TTS_VOICE_ZH)
    if voice is None:
        raise SettingsError((f"TTS_VOICE_ZH: got {settings.TTS_VOICE_ZH!r}, wants a voice of TTS_VOICES_FILE",))
    for checks in (
        upstreams.llm(settings),
        upstreams.speech(settings, voice),
        services.megaservice(megaservice_url, [endpoint.label for endpoint in settings.TTS_ENDPOINTS]),
        services.page(page_url),
    ):
        async for row in checks:
            yield row


async def _print(checks: AsyncGenerator[Row]) -> None:
    async for row in checks:
        print(json.dumps(asdict(row), ensure_ascii=False), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
