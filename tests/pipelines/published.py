"""The script that puts the page together, as a module: a folder with a dot in front is no package."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

SCRIPTS = Path(__file__).parents[2] / ".github" / "scripts"


def page_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("page", SCRIPTS / "page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_azure_prints(outputs: dict[str, Any]) -> dict[str, Any]:
    """It takes a name in capitals for one in camel case that begins with them."""
    return {_changed(name): {"type": "String", "value": value} for name, value in outputs.items()}


def _changed(name: str) -> str:
    first, _, rest = name.partition("_")
    return f"{first[:-1].lower()}{first[-1]}_{rest}" if first.isupper() else name


def published(outputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a Static Web App is told of the page for these outputs, which is in the folder then."""
    script = page_script()
    script.put_together(as_azure_prints(outputs), folder)
    config: dict[str, Any] = json.loads((folder / script.CONFIG).read_text())
    return config
