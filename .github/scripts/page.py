"""Puts the page together for a Static Web App: ``page.py OUTPUTS FOLDER``.

OUTPUTS is a file with the outputs of ``bicep/main.bicep``, as ``az deployment group show --query
properties.outputs`` prints them. FOLDER, made anew, gets the files of the page and nothing else of ``web/``,
and ``staticwebapp.config.json``, which knows no variables: whom the page may talk to is written into it here.
Needs Python alone.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WEB = Path(__file__).parents[2] / "web"
CONFIG = "staticwebapp.config.json"
SUFFIXES = frozenset([".html", ".css", ".js"])
# One resource of Azure OpenAI answers at both, and a call goes where its token was made.
HOSTS = (".openai.azure.com", ".services.ai.azure.com")
NOBODY_ELSE = "connect-src 'self'"


def put_together(outputs: Mapping[str, Any], folder: Path) -> None:
    """Raises KeyError for an output that is missing, ValueError where ``web/`` is not as this expects it."""
    values = {name.lower(): output["value"] for name, output in outputs.items()}  # Azure changes their case
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in WEB.iterdir():
        if path.suffix in SUFFIXES:
            shutil.copyfile(path, folder / path.name)
    config = replaced(
        (WEB / CONFIG).read_text(), NOBODY_ELSE, " ".join([NOBODY_ELSE, *may_connect_to(values)])
    )
    (folder / CONFIG).write_text(config)
    (folder / "index.html").write_text(index((WEB / "index.html").read_text(), values["brokerurl"]))


def may_connect_to(values: Mapping[str, str]) -> list[str]:
    """The origins of the broker, of enrichment, and of every resource that a call may go to."""
    domains = [domain["endpoint"] for domain in json.loads(values["azure_voicelive_domains"])]
    ours = [values["brokerurl"], values["enrichment_url"]]
    voice = [host for each in [values["azure_voicelive_endpoint"], *domains] for host in hosts_of(each)]
    return sorted({origin(url) for url in [*ours, *voice]})


def hosts_of(endpoint: str) -> list[str]:
    for suffix in HOSTS:
        if endpoint.endswith(suffix):
            return [endpoint.removesuffix(suffix) + host for host in HOSTS]
    return [endpoint]


def origin(url: str) -> str:
    """Without a path, and nothing that could end the directive it is put into."""
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.netloc or set(parts.netloc) & set(" ;,'\""):
        raise ValueError(f"{url!r} is no address")
    return f"{parts.scheme}://{parts.netloc}"


def index(text: str, broker: str) -> str:
    """The first page. Its files are at the root, whatever deep link it is the answer to."""
    text = replaced(
        text, '<meta name="broker" content="">', f'<meta name="broker" content="{origin(broker)}">'
    )
    for name in ('href="style.css"', 'href="panels.css"', 'src="main.js"'):
        text = replaced(text, name, name.replace('="', '="/'))
    return text


def replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"{old} stands {text.count(old)} times where it should stand once")
    return text.replace(old, new)


if __name__ == "__main__":
    put_together(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
