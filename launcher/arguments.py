"""The command line of scripts/start; standard library only, as it is read before `.venv` exists."""

import argparse
from collections.abc import Sequence


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/start", description="Sets MegaTalk up and runs it on this machine.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--say", metavar="TEXT", help="no page: run one turn, print what comes, judge it, end")
    what.add_argument("--prepare", action="store_true", help="only set up: .venv, model files, conversion")
    parser.add_argument("--language", choices=("zh", "en"), default="zh", help="of the turn (default: zh)")
    parser.add_argument("--level", type=int, choices=range(1, 7), metavar="1-6", help="HSK level of the turn")
    return parser.parse_args(argv)
