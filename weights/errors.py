"""What can go wrong while a model file is brought here; every message ends with what to do next.

WeightsError
  UnknownWeights    no such name in parts.json
  NoRoom            the disk under the cache is too full
  DownloadFailed    the registry or the hub did not give the bytes
  WrongBytes        bytes came, but not the ones whose sha256 is pinned
"""


class WeightsError(Exception):
    """Base of all; the message is for people."""


class UnknownWeights(WeightsError):
    pass


class NoRoom(WeightsError):
    pass


class DownloadFailed(WeightsError):
    pass


class WrongBytes(WeightsError):
    pass
