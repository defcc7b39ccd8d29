"""What the registry's model is taught when it is prepared: to judge its replies, and trained example turns."""

import zipfile
import zlib
from pathlib import Path

from llm import judge, prefix
from llm.errors import ModelUnusable
from llm.judge import Judge
from llm.prefix import Prefix, StandIns


def files_for(file_name: str) -> list[Path]:
    """What there is to teach the model of a GGUF file of the registry; for most there is nothing."""
    return [path for path in (judge.path_for(file_name), *prefix.paths_for(file_name)) if path.is_file()]


def teach(plain: Path, folder: Path, file_name: str) -> None:
    """Write into the folder the model of the plain one with what there is for its file. Raises ModelUnusable."""
    from llm.graft import graft  # it loads the runtime

    judge_path = judge.path_for(file_name)
    try:
        its_judge = Judge.load(judge_path) if judge_path.is_file() else None
        prefixes = [Prefix.load(path) for path in prefix.paths_for(file_name)]
    except (OSError, EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as exc:
        raise ModelUnusable(f"What was trained for {file_name} cannot be read ({exc}).") from exc
    try:
        graft(plain, folder, its_judge, prefixes)
    except (RuntimeError, ValueError) as exc:
        raise ModelUnusable(f"What was trained for {file_name} does not fit the model in {plain} ({exc}).") from exc
    if its_judge is not None:
        its_judge.question.save(folder)
    if prefixes:
        StandIns.save([each.stand_ins for each in prefixes], folder)
