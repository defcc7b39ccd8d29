"""What is told of words: as JSON for the page, as tab-separated lines for other programs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from megaservice.hsk import DEFAULT_STANDARD, Standard
from megaservice.models import Clip, Problem
from megaservice.records import SavedWord

WordText = Annotated[str, StringConstraints(pattern="^[\u3400-\u9fff〇\U00020000-\U0003ffff]{1,20}$")]

_TSV_COLUMNS = ("word", "pinyin", "level", "gloss", "standard", "sentence", "saved_at")


class WordRequest(BaseModel):
    """Body of PUT /words/{word}."""

    model_config = ConfigDict(extra="forbid")

    turn_id: str | None = Field(None, pattern="^[0-9a-f]{32}$", description="The turn that it was met in.")
    sentence_index: int | None = Field(None, ge=0, le=9999, strict=True)
    standard: Standard = DEFAULT_STANDARD

    @model_validator(mode="after")
    def _names_a_whole_sentence(self) -> "WordRequest":
        if (self.turn_id is None) != (self.sentence_index is None):
            raise ValueError("turn_id and sentence_index go together")
        return self


class WordReply(BaseModel):
    word: str
    pinyin: str
    level: int | None
    standard: Standard
    gloss: str | None
    sentence: str
    clip: Clip | None
    saved: bool
    errors: tuple[Problem, ...]


class ShownWord(BaseModel):
    word: str
    pinyin: str | None
    level: int | None
    gloss: str | None
    standard: Standard
    sentence: str | None
    turn_id: str | None
    sentence_index: int | None
    saved_at: datetime

    @classmethod
    def of(cls, word: SavedWord) -> "ShownWord":
        return cls(
            word=word.word,
            pinyin=word.pinyin,
            level=word.level,
            gloss=word.gloss,
            standard=word.standard,
            sentence=word.sentence,
            turn_id=word.turn_id,
            sentence_index=word.sentence_index,
            saved_at=datetime.fromtimestamp(word.saved_at_ms / 1000, UTC),
        )


class WordList(BaseModel):
    words: list[ShownWord]
    next: str | None = Field(description="`after` of the next page.")


def tsv(words: Sequence[SavedWord]) -> str:
    """The first lines tell Anki how to read the rest; for others they are comments."""
    lines = ["#separator:tab", "#html:false", "#columns:" + "\t".join(_TSV_COLUMNS)]
    for word in words:
        told = ShownWord.of(word).model_dump(mode="json")
        lines.append("\t".join(" ".join(str(told[name] or "").split()) for name in _TSV_COLUMNS))
    return "\n".join(lines) + "\n"
