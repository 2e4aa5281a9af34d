"""The page as a Static Web App serves it: at another origin than the broker, under headers of its own."""

from __future__ import annotations

import pytest
import pytest_asyncio
from playwright.async_api import expect
from starlette.middleware.cors import CORSMiddleware

from tests.bicep.settings import app_of, deployed
from tests.pipelines.published import published
from tests.web.modules.page import is_in, says, start
from tests.web.modules.profiles import watched
from tests.web.modules.realtime_events import added, heard, started, stopped
from tests.web.modules.services import Services, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

COLLECTED = """() => {
  const tell = ({ effectiveDirective, blockedURI }) => (window.refused = [effectiveDirective, blockedURI]);
  addEventListener("securitypolicyviolation", tell);
  const keep = (word) => () => (window.asked = word);
  fetch("https://elsewhere.example/collect").then(keep("went"), keep("was stopped"));
}"""


class StaticWebApp(Services):
    """The files, and the page for what is none of them; what others ask of it goes by the ingress's CORS."""

    def app(self):
        ingress = app_of(deployed("production"), "broker").body["properties"]["configuration"]["ingress"]
        cors = ingress["corsPolicy"]
        return CORSMiddleware(
            super().app(),
            allow_origins=[self.page],
            allow_methods=cors["allowedMethods"],
            allow_headers=cors["allowedHeaders"],
            expose_headers=cors["exposeHeaders"],
        )

    async def file(self, request):
        if "." not in request.path_params["path"]:
            request.path_params["path"] = "index.html"
        answer = await super().file(request)
        answer.headers.update(self.headers)
        return answer


@pytest.fixture(scope="module")
def static_web_app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "page"
    with serving(StaticWebApp, folder=folder) as services:
        outputs = {
            "brokerUrl": services.enrichment,  # the same server by its other name: another origin
            "ENRICHMENT_URL": services.enrichment,
            "AZURE_VOICELIVE_ENDPOINT": "https://azure.test",
            "AZURE_VOICELIVE_DOMAINS": "[]",
        }
        services.headers = published(outputs, folder)["globalHeaders"]
        services.policy = services.headers.pop("Content-Security-Policy")
        yield services


@pytest_asyncio.fixture(loop_scope="session")
async def visited(browser, static_web_app):
    """A page that came to a deep link, what the browser complained of, and what it asked for."""
    async with watched(browser) as (context, faults):
        page, asked = await context.new_page(), []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{static_web_app.page}/talk/with/elena")
        yield page, faults, asked


async def test_a_call_works_and_nobody_else_can_be_reached(visited, static_web_app):
    page, faults, asked = visited
    await expect(page.locator("button[data-agent=elena]")).to_be_visible()
    await start(page)
    await says(page, started("U1"), stopped("U1"), added("U1", None), heard("U1", "Hello?"))
    await expect(page.locator("#transcript li[data-saved=saved]")).to_have_count(1)
    await static_web_app.has_posted(["U1"])
    assert len(static_web_app.tokens) == 1
    await page.click("#start")
    await is_in(page, "ended")
    assert faults == []
    for path in ("agents", "realtime/token", "memory/enrich"):
        assert [url for url in asked if url.endswith(path)] == [f"{static_web_app.enrichment}/{path}"]

    await page.evaluate(COLLECTED)
    await page.wait_for_function("window.asked === 'was stopped' && window.refused")
    assert await page.evaluate("window.refused") == ["connect-src", "https://elsewhere.example/collect"]
    assert all("Content Security Policy" in fault for fault in faults)
