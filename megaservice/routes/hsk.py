"""POST /hsk/grade: the HSK level of a text, word by word."""

from fastapi import APIRouter

from megaservice.hsk import Grade, Grader
from megaservice.schemas import GradeRequest


def hsk_routes(grader: Grader) -> APIRouter:
    router = APIRouter(prefix="/hsk", tags=["hsk"])

    @router.post("/grade")
    def grade(request: GradeRequest) -> Grade:  # not async: a long text must not stop the event loop
        return grader.grade(request.text, request.level, request.standard, request.names)

    return router
