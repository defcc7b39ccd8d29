"""The real MegaService for the page's tests, in a thread of its own, over protocol-true doubles of LLM and voice."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from megaservice.settings import Settings
from tests.doubles.gpt_sovits import GPTSoVITS
from tests.doubles.vllm import VLLM, Exchange, Fault, Script
from tests.serving import megaservice, settings_for

# What the learner writes chooses the reply; anything else gets GREETS.
GREETS = "你好！很高兴认识你。今天天气很好，我们去公园走走，好不好？"
TEA = "我也喜欢喝茶！中国有很多种茶，比如绿茶、红茶和乌龙茶。你最喜欢哪一种？"
EASY = "你好！我叫小美。你呢？"
LONG = (
    "今天我们去公园。公园里有很多好看的花。我和朋友在那儿喝绿茶。"
    "下午我们一起去吃饭。晚上我在家里看了一本书。你周末最喜欢做什么？"
)
ENGLISH = "Hello! I am fine. What would you like to talk about today?"
HARD = "政府批准了预算，经济学家怀疑效率，媒体批评政策，律师拒绝妥协。"
TRANSLATIONS = {
    "你好！": "Hello!",
    "我叫小美。你呢？": "My name is Xiaomei. And yours?",
    "很高兴认识你。今天天气很好，我们去公园走走，好不好？": (
        "Nice to meet you. It is a fine day. Shall we take a walk in the park?"
    ),
    "我也喜欢喝茶！": "I like tea too!",
    "中国有很多种茶，比如绿茶、红茶和乌龙茶。": "China has many kinds of tea, such as green, black and oolong tea.",
    "你最喜欢哪一种？": "Which kind do you like best?",
    "今天我们去公园。": "Today we are going to the park.",
    "公园里有很多好看的花。": "There are many pretty flowers in the park.",
    "我和朋友在那儿喝绿茶。": "I drink green tea there with friends.",
    "下午我们一起去吃饭。": "In the afternoon we go out to eat together.",
    "晚上我在家里看了一本书。": "In the evening I read a book at home.",
    "你周末最喜欢做什么？": "What do you like to do best at weekends?",
}
REPLIES = {"茶": TEA, "很长": LONG, "名字": EASY, "难": HARD, "Hello": ENGLISH}
FAILS, HANGS = "失败", "等等"


@dataclass
class Pace:
    milliseconds_per_token: float = 25.0


@dataclass(frozen=True)
class RunningStack:
    """`llm` and `voice` may be slowed down, made to fail, and asked what they received."""

    url: str
    folder: Path
    llm: VLLM
    voice: GPTSoVITS
    pace: Pace

    def last_reply(self) -> Exchange:
        """The LLM's last one, when it is out or was given up."""
        with ThreadPoolExecutor(1) as other:  # this thread has a loop already, the browser's
            return other.submit(asyncio.run, self.llm.chats[-1].ended()).result()

    def clips(self) -> list[Path]:
        return list((self.folder / "audio").rglob("*.wav"))


def reply_to(exchange: Exchange, pace: Pace) -> Script:
    asked = exchange.messages[-1]["content"]
    if any("ranslat" in message["content"] for message in exchange.messages):
        return Script(TRANSLATIONS.get(asked, "It is said well."))
    if FAILS in asked:
        return Script(fault=Fault.ERROR_500)
    if HANGS in asked:
        return Script(GREETS, fault=Fault.SILENT, fault_after_tokens=8)
    reply = next((reply for word, reply in REPLIES.items() if word in asked), GREETS)
    return Script(reply, milliseconds_per_token=pace.milliseconds_per_token * (3 if reply is LONG else 1))


@contextmanager
def running_stack(folder: Path) -> Iterator[RunningStack]:
    pace = Pace()
    with VLLM(lambda exchange: reply_to(exchange, pace)) as llm, GPTSoVITS(seconds_per_sentence=0.05) as voice:
        endpoints = {"LLM_ENDPOINT": llm.url, "TTS_ENDPOINTS": f"sovits-v2+{voice.url}"}
        as_written = {"HSK_CONSTRAINT": "off", "HSK_REPAIR": "off"}  # so that words above the level are there to see
        with served(settings_for(folder, **endpoints, **as_written)) as url:
            yield RunningStack(url, folder, llm, voice, pace)


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """MegaService in a thread of its own; its base URL."""
    urls: list[str] = []
    started, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with megaservice(settings) as client:
            urls.append(str(client.base_url))
            started.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        if not started.wait(30):
            raise RuntimeError("MegaService did not start.")
        yield urls[0]
    finally:
        over.set()
        thread.join(20)
