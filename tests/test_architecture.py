"""Rules a reader relies on and a linter does not know."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("broker", "enrichment")
MODULES = sorted(path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py"))
PYTHON = MODULES + sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))
BROWSER = sorted((ROOT / "web").glob("*.js"))


def holds_for_each(paths):
    """One test of a rule about a file, for many files: it tells every file that breaks it."""

    def test_of(rule):
        def test():
            broken = []
            for path in paths:
                try:
                    rule(path)
                except AssertionError as exc:
                    broken.append(f"{path}: {exc}")
            assert broken == []

        test.__name__, test.__doc__ = rule.__name__, rule.__doc__
        return test

    return test_of


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def imports(path: Path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name.split(".")[0] in {*ROOMS, "tests"}}


@holds_for_each(MODULES)
def test_imports_go_one_way(path):
    if path.is_relative_to("broker/edge"):
        assert all(name.startswith("broker.edge") for name in ours(path))
    elif path.parts[0] == "broker":
        assert all(name.startswith("broker") for name in ours(path))
    else:
        assert all(name.startswith(("enrichment", "broker.edge")) for name in ours(path))


@holds_for_each(MODULES)
def test_only_settings_read_the_environment(path):
    if path.name != "settings.py":
        source = (ROOT / path).read_text()
        assert not re.search(r"os\.environ|os\.getenv|BaseSettings", source)


@holds_for_each(MODULES)
def test_only_the_composition_roots_open_http_clients(path):
    opened = {ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)}
    # upstream.py makes the broker's one kind of session; a root opens it, and closes it.
    if path.name not in {"app.py", "wiring.py", "upstream.py"}:
        assert not opened & {
            "httpx.AsyncClient",
            "httpx.Client",
            "aiohttp.ClientSession",
            "httpx.get",
            "httpx.post",
        }


@holds_for_each(MODULES)
def test_only_strategies_know_azure_s_mint_urls(path):
    if path != Path("broker/minting/strategies.py"):
        literals = (node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant))
        assert not any(isinstance(value, str) and "/client_secrets" in value for value in literals)


@holds_for_each(MODULES)
def test_only_the_memories_in_zep_know_its_sdks(path):
    if not re.fullmatch(r"enrichment/memory/zep\w*\.py", str(path)):
        assert not [name for name in imports(path) if name.split(".")[0] in {"zep_python", "zep_cloud"}]


# What may be called when a module is imported: it makes values that nobody can change, names, or types.
MAKES_NO_STATE = re.compile(
    r"frozenset|tuple|MappingProxyType|re\.compile|TypeAdapter(\[.+\])?|TypeVar|Route|Mount|structlog\.get_logger"
    r"|AsyncRetrying|uuid\.UUID|Path(\(.*\)\.parent.*)?|Meaning|AgentSpec|NO_BLOCK|Block|Pace|ProblemType|Bar|bytes|Operation"
)


def changeable(node: ast.expr) -> bool:
    """Whether the value could be changed later, by anybody who imports it."""
    if isinstance(node, ast.Call):
        return not MAKES_NO_STATE.fullmatch(ast.unparse(node.func))
    return isinstance(node, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


@holds_for_each(MODULES)
def test_no_module_holds_state_that_can_change(path):
    for node in tree(path).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            table = isinstance(node.value, ast.Dict | ast.List) and ast.unparse(target).isupper()
            assert table or not changeable(node.value), f"{path}:{node.lineno} {ast.unparse(target)}"


def test_the_tables_that_are_written_as_literals_are_never_written_to():
    tables = {
        ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        for path in MODULES
        for node in tree(path).body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict | ast.List)
    }
    for path in MODULES:
        for name in re.findall(
            r"\b([A-Z_]+)(?:\[[^\]]+\]\s*=[^=]|\.(?:append|update|pop|setdefault|extend)\()",
            (ROOT / path).read_text(),
        ):
            assert name not in tables, f"{path}: {name}"


@holds_for_each(PYTHON)
def test_functions_fit_on_a_screen(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 50, f"{path}:{node.lineno} {node.name}"


@holds_for_each(PYTHON)
def test_modules_have_one_subject(path):
    limit = 600 if path.name.startswith("test_") else 400
    assert len((ROOT / path).read_text().splitlines()) <= limit


@holds_for_each(MODULES)
def test_every_module_and_public_name_says_what_it_is_for(path):
    module = tree(path)
    assert ast.get_docstring(module) or path.name == "__main__.py"
    for node in module.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            has_words = ast.get_docstring(node) or any("Protocol" in ast.unparse(base) for base in node.bases)
            assert has_words, f"{path}:{node.lineno} {node.name}"


@holds_for_each(BROWSER)
def test_in_the_page_each_browser_api_has_one_owner(path):
    source = path.read_text()
    owners = {
        r"\bdocument\.(?!visibilityState|addEventListener|hidden)": {
            p.name for p in BROWSER if p.stem.startswith("page")
        },
        r"\bRTCPeerConnection\b": {"realtime-call.js"},
        r"getUserMedia": {"microphone.js"},
        r"\bindexedDB\b": {"stored-turns.js"},
        r"\binnerHTML\b|\beval\(|insertAdjacentHTML": set(),
    }
    for pattern, allowed in owners.items():
        assert path.name in allowed or not re.search(pattern, source), pattern


def test_the_assembler_touches_nothing_outside_itself():
    source = (ROOT / "web/transcript-assembler.js").read_text()
    assert not re.search(r"\b(document|window|fetch|Date\.now|setTimeout|navigator|indexedDB)\b", source)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split() if listed.returncode == 0 else []
    return [ROOT / name for name in names] or [path for path in ROOT.rglob("*") if ".venv" not in path.parts]


def test_nothing_names_a_registry_host_or_a_path_of_one_machine():
    forbidden = re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian|/work/main|/root/\.")
    here = Path(__file__)
    for path in tracked():
        if path.is_file() and path != here and path.suffix not in {".wav", ".png"}:
            assert not forbidden.search(path.read_text(errors="replace")), path


def test_the_locks_name_no_host():
    for name in ("requirements.lock", "requirements-image.lock", "requirements-sbom.lock"):
        assert "://" not in (ROOT / name).read_text()
    for lock in ("web/package-lock.json", "tests/web/consumer/package-lock.json"):
        packages = json.loads((ROOT / lock).read_text())["packages"]
        assert not [name for name, package in packages.items() if "resolved" in package]
