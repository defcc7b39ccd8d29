"""Which files each version of GPT-SoVITS needs, and where the model hub has them."""

from dataclasses import dataclass
from urllib.parse import quote

from tts.gpt_sovits.settings import Version

_GPT_SOVITS = "lj1995/GPT-SoVITS/resolve/336b2ec4e8d4ac74740798dd40af44e74659ecaf"
# The reading of Chinese characters with several readings, as gpt-sovits-cpufast wants it, by that package's author.
_G2PW = "baicai1145/g2pw/resolve/main"


@dataclass(frozen=True, slots=True)
class Pin:
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ModelFile:
    """`path` is below the folder of the models. Without a pin the hub is asked which bytes it means to give."""

    path: str
    hub_path: str
    pin: Pin | None


def _weights(path: str, size_bytes: int, sha256: str) -> ModelFile:
    return ModelFile(f"pretrained_models/{path}", f"{_GPT_SOVITS}/{quote(path)}", Pin(sha256, size_bytes))


# What every version shares; the two encoders' configurations and the tokenizer come with the package.
_ENCODERS = (
    _weights(
        "chinese-hubert-base/pytorch_model.bin",
        188_811_417,
        "24164f129c66499d1346e2aa55f183250c223161ec2770c0da3d3b08cf432d3c",
    ),
    _weights(
        "chinese-roberta-wwm-ext-large/pytorch_model.bin",
        651_225_145,
        "e53a693acc59ace251d143d068096ae0d7b79e4b1b503fa84c9dcf576448c1d8",
    ),
    ModelFile("G2PWModel/g2pw.pth", f"{_G2PW}/g2pw.pth", None),
)


@dataclass(frozen=True, slots=True)
class Model:
    gpt: ModelFile
    sovits: ModelFile
    others: tuple[ModelFile, ...]

    @property
    def files(self) -> tuple[ModelFile, ...]:
        return (self.gpt, self.sovits, *self.others)


MODELS = {
    Version.V2: Model(
        _weights(
            "gsv-v2final-pretrained/s1bert25hz-5kh-longer-epoch=12-step=369668.ckpt",
            155_315_150,
            "732f94e63b148066e24c7f9d2637f3374083e637635f07fbdb695dee20ddbe1f",
        ),
        _weights(
            "gsv-v2final-pretrained/s2G2333k.pth",
            106_035_259,
            "924fdccaa3c574bf139c25c9759aa1ed3b3f99e19a7c529ee996c2bc17663695",
        ),
        _ENCODERS,
    ),
    Version.V2_PRO: Model(
        _weights("s1v3.ckpt", 155_284_856, "87133414860ea14ff6620c483a3db5ed07b44be42e2c3fcdad65523a729a745a"),
        _weights("v2Pro/s2Gv2Pro.pth", 162_303_657, "0f8ead815234365edf045c6d86370ed6e4f440e8195be77ff0ea72684ad406a5"),
        (
            *_ENCODERS,
            _weights(
                "sv/pretrained_eres2netv2w24s4ep4.ckpt",
                107_528_697,
                "4f5a0bf73c61eb41b174e1bb54e7ee3c83233892be8e0af1f187024e8e581a35",
            ),
        ),
    ),
}
