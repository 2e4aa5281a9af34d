"""The library as another project gets it: packed, installed, type-checked, and run in a page of theirs."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests import node
from tests.web.modules.page import says
from tests.web.modules.realtime_events import added, done, heard, started, stopped
from tests.web.modules.services import WEB, serving

ROOT = WEB.parent
CONSUMER = Path(__file__).parents[1] / "consumer"
TSC = str(WEB / "node_modules" / ".bin" / "tsc")
EXPORTED = (
    "Broker CallError MicrophoneError ProblemError RealtimeCall TranscriptAssembler TranscriptOutbox "
    "VoiceSession openMicrophone wordsFor wordsForEnd wordsForMicrophone"
)


def npm(*arguments, cwd):
    done = node.run("npm", *arguments, cwd=cwd, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory):
    node.install(WEB)
    folder = tmp_path_factory.mktemp("packed")
    npm("pack", "--pack-destination", str(folder), cwd=WEB)
    (packed,) = folder.iterdir()
    return packed


def new_project(folder, package):
    """Somebody's React page in TypeScript, with the library installed."""
    node.install(CONSUMER)
    shutil.copytree(CONSUMER, folder, symlinks=True)
    npm("install", "--offline", "--no-audit", "--no-fund", str(package), cwd=folder)
    return folder


@pytest.fixture(scope="module")
def project(tarball, tmp_path_factory):
    return new_project(tmp_path_factory.mktemp("consumer") / "project", tarball)


@pytest.fixture(scope="module")
def linked_project(tarball, tmp_path_factory):
    """Installed from the folder, which the tarball's making has filled with types."""
    return new_project(tmp_path_factory.mktemp("consumer") / "linked", WEB)


def modules_of(entry):
    """The module and all that it imports."""
    found, ahead = set(), [entry]
    while ahead:
        found.add(name := ahead.pop())
        imported = re.findall(r"^(?:import|export) .*from \"\./(.+)\";$", (WEB / name).read_text(), re.M)
        ahead += set(imported) - found
    return found


def test_the_tarball_holds_the_library_its_types_its_licence_and_nothing_else(tarball):
    modules = modules_of("voicelive.js")
    kinds = ("d.ts", "d.ts.map")  # the map leads an editor from a type to the commented source
    types = {f"types/{name.removesuffix('js')}{kind}" for name in modules for kind in kinds}
    with tarfile.open(tarball) as archive:
        packed = {name.removeprefix("package/") for name in archive.getnames()}
    assert packed == {"package.json", "LICENSE"} | modules | types
    assert (WEB / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_library_depends_on_nothing(project):
    manifest = json.loads((project / "node_modules/voicelive-web/package.json").read_text())
    assert [name for name in manifest if name.lower().endswith("dependencies")] == ["devDependencies"]


def test_all_of_the_library_adds_at_most_25_kB_to_a_page_that_bundles_it(project):
    (project / "all.js").write_text('export * from "voicelive-web"')
    bundling = ("--bundle", "--minify", "--format=esm", "--outfile=bundle.js", "--log-level=error")
    npm("exec", "--offline", "--", "esbuild", "all.js", *bundling, cwd=project)
    assert len(gzip.compress((project / "bundle.js").read_bytes())) <= 25_000


def test_importing_it_does_nothing_so_that_a_page_can_be_rendered_on_a_server(project):
    script = project / "server.js"
    script.write_text('console.log(Object.keys(await import("voicelive-web")).join(" "))')
    found = node.run(str(script), capture_output=True, check=False)
    assert (found.stdout.strip(), found.stderr) == (EXPORTED, "")


@pytest.mark.parametrize("installed", ["project", "linked_project"])
def test_a_react_page_in_typescript_type_checks_and_wrong_uses_do_not(installed, request):
    project = request.getfixturevalue(installed)
    checked = node.run(TSC, "-p", str(project), capture_output=True, check=False)
    assert (checked.stdout, checked.returncode) == ("", 0)


@pytest.fixture
def their_server(project):
    """Serves the example of the README, and the library beside it as it was installed."""
    [example] = re.findall(r"^```html\n(.+?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert len(example.splitlines()) <= 20
    (project / "index.html").write_text(example)
    with serving(folder=project, policy="") as services:
        yield services


@pytest.mark.asyncio(loop_scope="session")
async def test_the_example_of_the_readme_runs_until_it_prints_what_was_said(context, their_server):
    page = await context.new_page()
    await page.goto(their_server.page)
    await page.click("button")
    await expect(page.locator("output")).to_have_text("listening")
    await says(page, started("U1"), stopped("U1"), added("U1", None), heard("U1", "Hello Elena."))
    await says(page, added("A1", "U1", "assistant"), done("A1", "Hello."))
    await expect(page.locator("li")).to_have_text(["user: Hello Elena.", "assistant: Hello."])
    await their_server.has_posted(["U1"], ["A1"])
    await page.click("button")
    await expect(page.locator("output")).to_have_text("ended")
