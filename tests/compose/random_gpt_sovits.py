"""Fills /models with random weights of GPT-SoVITS v2's true shapes, where no model hub answers: noise, but real work.

Runs inside the megatalk-gpt-sovits image, which has the classes: docker run -i ... python - < this file
"""
# mypy: ignore-errors
# The imports below are in that image alone.

import json
import os
from pathlib import Path
from typing import Any

import torch
import yaml
from gpt_sovits_cpufast.runtime import PACKAGE_ROOT, configure_runtime

MODELS = Path("/models")
# Random weights never say that a sentence is over; the checkpoint's own limit does: 75 tokens, 3 s of sound.
LONGEST_SECONDS = 1.5

os.environ["GPT_SOVITS_DATA_DIR"] = "/tmp"
configure_runtime()
torch.manual_seed(0)

code = PACKAGE_ROOT / "GPT_SoVITS"
pretrained = MODELS / "pretrained_models"


def save(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)


def halved(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.half() if value.is_floating_point() else value for name, value in state.items()}


def encoders() -> None:
    from feature_extractor import cnhubert
    from text import chinese_bert

    for name, module, kind in (
        ("chinese-roberta-wwm-ext-large", chinese_bert, chinese_bert.BertForMaskedLM),
        ("chinese-hubert-base", cnhubert, cnhubert.HubertInferenceModel),
    ):
        model = kind(module._load_config(str(code / "pretrained_models" / name)))
        save(pretrained / name / "pytorch_model.bin", halved(model.state_dict()))


def readings() -> None:
    from text.g2pw.dataset import get_phoneme_labels
    from text.g2pw.torch_api import G2PWModel

    lines = (code / "text/G2PWModel/POLYPHONIC_CHARS.txt").read_text(encoding="utf-8").strip().split("\n")
    labels, readings_of = get_phoneme_labels(polyphonic_chars=[line.split("\t") for line in lines])
    bert_base = {"vocabulary": 21128, "hidden": 768, "layers": 12, "heads": 12, "inner": 3072}
    save(MODELS / "G2PWModel/g2pw.pth", G2PWModel(*bert_base.values(), len(labels), len(readings_of)).state_dict())


def gpt() -> None:
    import AR.models.t2s_model as t2s

    t2s._build_multiclass_accuracy_for_training = lambda *_, **__: torch.nn.Identity()  # it wants torchmetrics
    from AR.models.t2s_lightning_module import Text2SemanticLightningModule

    config = yaml.safe_load((code / "configs/s1longer-v2.yaml").read_text(encoding="utf-8"))
    config["data"]["max_sec"] = LONGEST_SECONDS
    state = Text2SemanticLightningModule(config, "random", is_train=False).state_dict()
    weight = halved({name: value for name, value in state.items() if "t2s_transformer" not in name})
    path = pretrained / "gsv-v2final-pretrained/s1bert25hz-5kh-longer-epoch=12-step=369668.ckpt"
    save(path, {"weight": weight, "config": config, "info": "random"})


def sovits() -> None:
    from module.models import SynthesizerTrn

    config = json.loads((code / "configs/s2.json").read_text(encoding="utf-8"))
    config["model"]["version"] = "v2"
    data, train = config["data"], config["train"]
    network = SynthesizerTrn(
        data["filter_length"] // 2 + 1,
        train["segment_size"] // data["hop_length"],
        n_speakers=data["n_speakers"],
        **config["model"],
    )
    state = {name: value for name, value in halved(network.state_dict()).items() if not name.startswith("enc_q")}
    for name, value in state.items():  # a codebook that has been trained
        if "quantizer" in name:
            state[name] = torch.randn_like(value) if "embed" in name else torch.ones_like(value)
    save(pretrained / "gsv-v2final-pretrained/s2G2333k.pth", {"weight": state, "config": config, "info": "random"})


for make in (encoders, readings, gpt, sovits):
    make()
    print(make.__name__, flush=True)
