"""Says which variable is wrong, what it got and what it wants: one line per fault."""

from pydantic import ValidationError


def lines(exc: ValidationError) -> list[str]:
    return [
        f"EMBEDDED_{'_'.join(map(str, fault['loc'])).upper()}: got {fault['input']!r}; {fault['msg']}."
        for fault in exc.errors()
    ]
