"""`python -m weights NAME...` fetches model files by hand; without a name it lists them."""

import signal
import sys

from weights import PARTS, WeightsError, fetch


def main(names: list[str]) -> int:
    if not names:
        for weights in PARTS.values():
            print(f"{weights.name}  {weights.download_bytes / 1e6:,.0f} MB to download, {weights.licence}")  # noqa: T201
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that pip is ended too
    try:
        for name in names:
            print(fetch(name))  # noqa: T201
    except WeightsError as exc:
        print(exc, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
