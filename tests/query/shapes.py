"""Whether an answer has the documented shape."""

from typing import Any

from pydantic import BaseModel


def fits(model: type[BaseModel], answer: Any) -> None:
    """Nothing is missing, nothing undocumented."""
    parsed = model.model_validate(answer, strict=True, extra="forbid")
    assert parsed.model_dump(exclude_unset=True) == answer
