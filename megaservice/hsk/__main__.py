"""Grades the lines of standard input: `python -m megaservice.hsk --level 1 < replies.txt`.

One JSON object a line, as POST /hsk/grade answers. Ends with 0 when every line is in level, with 1 when one is not.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from megaservice.hsk import DEFAULT_STANDARD, Grader, Lexicon, Standard
from megaservice.hsk.grades import LEVELS


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m megaservice.hsk", description="Grades the lines of standard input."
    )
    parser.add_argument("--level", type=int, choices=LEVELS, required=True)
    parser.add_argument("--standard", choices=[standard.value for standard in Standard], default=DEFAULT_STANDARD.value)
    parser.add_argument("--name", action="append", default=[], dest="names", help="a word that needs no level")
    asked = parser.parse_args(arguments)
    grader = Grader(Lexicon.load())
    are_in_level = True
    for line in sys.stdin:
        if text := line.strip():
            grade = grader.grade(text, asked.level, Standard(asked.standard), asked.names)
            sys.stdout.write(json.dumps({"text": text, **asdict(grade)}, ensure_ascii=False) + "\n")
            are_in_level = are_in_level and grade.in_level
    return 0 if are_in_level else 1


if __name__ == "__main__":
    sys.exit(main())
