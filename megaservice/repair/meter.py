"""The grader as one turn uses it: held to a level, a word list and the names that the learner told."""

from collections.abc import Collection

from megaservice.hsk import Grade, Grader, Standard, Verdict
from megaservice.models import LevelReport, Rung


class Meter:
    def __init__(self, grader: Grader, level: int, standard: Standard, names: Collection[str] = ()) -> None:
        self.level = level
        self._grader = grader
        self._standard = standard
        self._names = names

    def grade(self, text: str) -> Grade | None:
        """None where there is no letter to grade: an emoji, a number, an empty line."""
        if not any(map(str.isalpha, text)):
            return None
        return self._grader.grade(text, self.level, self._standard, self._names)

    def fits(self, said: str, sentence: str) -> bool:
        """Whether `sentence` may follow what was `said`: by itself it may have a new word that the two may not."""
        return all(
            grade is None or grade.verdict is not Verdict.ABOVE
            for grade in map(self.grade, {sentence, said + sentence})
        )

    def coverage(self, text: str) -> float:
        grade = self.grade(text)
        return grade.coverage if grade is not None else 0.0

    def report(self, reply: str, rung: Rung) -> LevelReport:
        grade = self._grader.grade(reply, self.level, self._standard, self._names)
        return LevelReport(grade.standard, grade.level, grade.verdict, grade.coverage, rung, grade.flagged)
