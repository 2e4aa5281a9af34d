"""Whether an answer is one that the service's own OpenAPI document declares."""

from __future__ import annotations

import re
from typing import Any

import httpx
import jsonschema_rs


def operation_of(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """What is declared for it; a path without parameters comes before one that has some."""
    for template in sorted(document["paths"], key=lambda each: "{" in each):
        if (
            re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
            and method in document["paths"][template]
        ):
            return document["paths"][template][method]
    raise AssertionError(f"{method} {path} is not declared")


def is_declared(document: dict[str, Any], response: httpx.Response) -> bool:
    """Raises AssertionError or ValidationError, which say what is not."""
    asked = response.request
    operation = operation_of(document, asked.method.lower(), asked.url.path)
    answers = operation["responses"]
    assert str(response.status_code) in answers, f"{asked.url.path} {response.status_code} {response.text}"
    kinds = answers[str(response.status_code)]["content"]
    kind = response.headers["content-type"].partition(";")[0]
    assert kind in kinds, f"{asked.url.path} {response.status_code} {kind}"
    said = response.json() if kind.endswith("json") else response.text
    jsonschema_rs.validate(standing_alone(document, kinds[kind]["schema"]), said)
    return True


def standing_alone(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with all that it may refer to."""
    return {"allOf": [schema], "components": document["components"]}
