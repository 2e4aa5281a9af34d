"""The page's modules, each as shipped, in a real Chromium: transcript, outbox, call, session and page."""

import asyncio
import json
import random
import socket
import threading
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import async_playwright, expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests import chromium

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEB = Path(__file__).parents[2] / "web"

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; media-src 'self' blob:; img-src 'self' data:; "
    "connect-src 'self' https://azure.test {enrichment}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
AGENTS = [
    {"id": "elena", "name": "Elena", "role": "Business analyst", "voice": "marin"},
    {"id": "marcus", "name": "Marcus", "role": "Project manager", "voice": "cedar"},
    {"id": "sage", "name": "Sage", "role": "Storyteller", "voice": "sage"},
]

# Azure's end of a call, in the page itself: real WebRTC, no server. `azure` scripts it and hears it.
AZURE = """(() => {
  const network = window.fetch.bind(window);
  const azure = (window.azure = { heard: [], refuse: 0, hold: null });
  let channel;
  azure.say = (event) => channel.send(JSON.stringify(event));
  const gathered = (peer) => new Promise((done) => {
    const check = () => peer.iceGatheringState === "complete" && done();
    peer.onicegatheringstatechange = check;
    check();
  });
  window.fetch = async (url, request) => {
    if (!String(url).startsWith("https://azure.test/")) return network(url, request);
    azure.request = { url, headers: request.headers };
    azure.offer = request.body;
    if (azure.hold) await azure.hold;
    if (azure.refuse) return new Response('{"error":{"message":"no"}}', { status: azure.refuse });
    const peer = (azure.peer = new RTCPeerConnection());
    peer.ondatachannel = (event) => {
      channel = event.channel;
      azure.label = channel.label;
      channel.onmessage = ({ data }) => azure.heard.push(JSON.parse(data));
    };
    const voice = new AudioContext().createMediaStreamDestination().stream;
    peer.addTrack(voice.getAudioTracks()[0], voice);
    await peer.setRemoteDescription({ type: "offer", sdp: request.body });
    await peer.setLocalDescription();
    await gathered(peer);
    return new Response(peer.localDescription.sdp, { status: 201 });
  };
})()"""

TOOLS = """
window.until = async (condition, what = String(condition)) => {
  const deadline = performance.now() + 5000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error("waited in vain for " + what);
    await new Promise((next) => setTimeout(next, 5));
  }
};
window.turn = (id, text = "words of " + id) => ({ turn_id: id, previous_turn_id: null, speaker: "user", text,
  spoken_at: "2026-11-20T08:00:00Z", interrupted: false });
"""


class Services:
    """The broker's and Enrichment's side of HTTP, scripted by a test; they keep what they got."""

    def __init__(self, port: int) -> None:
        self.page = f"http://127.0.0.1:{port}"
        self.enrichment = f"http://localhost:{port}"  # the same server, and another origin for the browser
        self.forget()

    def forget(self) -> None:
        self.answers: list[JSONResponse] = []  # used up one by one; then every turn is accepted
        self.closed = False  # 503 for all
        self.gate = threading.Event()  # Enrichment answers when it is set
        self.gate.set()
        self.posts: list[dict[str, Any]] = []
        self.content_types: list[str] = []
        self.preflights = 0
        self.tokens: list[dict[str, Any]] = []
        self.token_problem: dict[str, Any] | None = None
        self.token: dict[str, Any] = {}
        self.episode: list[dict[str, Any]] | None = None
        self.memory = True

    def app(self):
        routes = [
            Route("/blank", self.blank),
            Route("/agents", self.agents),
            Route("/realtime/token", self.mint, methods=["POST"]),
            Route("/memory/enrich", self.enrich, methods=["POST", "OPTIONS"]),
            Route("/memory/episodes/{session_id}", self.read_episode),
            Mount("/", StaticFiles(directory=WEB, html=True)),
        ]
        app = Starlette(routes=routes)

        async def strict(scope, receive, send):
            async def with_headers(message):
                if message["type"] == "http.response.start":
                    policy = CSP.format(enrichment=self.enrichment).encode()
                    message["headers"] += [
                        (b"content-security-policy", policy),
                        (b"cache-control", b"no-store"),
                    ]
                await send(message)

            await app(scope, receive, with_headers)

        return strict

    async def blank(self, request):
        return HTMLResponse("<!doctype html><link rel=icon href='data:,'><audio id=speaker></audio>")

    async def agents(self, request):
        urls = {
            "url": f"{self.enrichment}/memory/enrich",
            "episodes_url": f"{self.enrichment}/memory/episodes",
        }
        enrichment = urls if self.memory else None
        return JSONResponse({"agents": AGENTS, "default_agent": "elena", "enrichment": enrichment})

    async def mint(self, request):
        self.tokens.append(await request.json())
        if self.token_problem:
            return JSONResponse(self.token_problem, self.token_problem["status"])
        return JSONResponse(self.call_pass(self.tokens[-1]["agent_id"]) | self.token)

    def call_pass(self, agent_id="elena"):
        enrichment = {
            "url": f"{self.enrichment}/memory/enrich",
            "grant": "grant-1",
            "expires_at": 1_890_000_000,
        }
        return {
            "token": "ek_never_shown",
            "calls_url": "https://azure.test/openai/v1/realtime/calls?webrtcfilter=on",
            "session_id": "session-1",
            "agent": next(agent for agent in AGENTS if agent["id"] == agent_id),
            "greeting": False,
            "session_update": None,
            "enrichment": enrichment if self.memory else None,
            "memory": {"status": "hit" if self.memory else "off", "facts": 3},
        }

    async def enrich(self, request):
        if request.method == "OPTIONS":
            self.preflights += 1
            return JSONResponse({}, 405)
        self.content_types.append(request.headers["content-type"])
        self.posts.append(json.loads(await request.body()))
        await asyncio.to_thread(self.gate.wait, 5)
        answer = self.answers.pop(0) if self.answers else self.accept(self.posts[-1])
        answer = JSONResponse({}, 503) if self.closed else answer
        answer.headers["access-control-allow-origin"] = "*"
        return answer

    def accept(self, post):
        return JSONResponse(
            {"accepted": [turn["turn_id"] for turn in post["turns"]], "duplicate": [], "rejected": []}, 202
        )

    async def read_episode(self, request):
        allow = {"access-control-allow-origin": "*"}
        return JSONResponse(
            {"id": request.path_params["session_id"], "transcript": self.episode or []}, headers=allow
        )

    def turn_ids(self):
        """What was posted, post by post."""
        return [[turn["turn_id"] for turn in post["turns"]] for post in self.posts]

    def all_turn_ids(self):
        return [turn_id for post in self.turn_ids() for turn_id in post]


@pytest.fixture(scope="module")
def server():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        services = Services(listener.getsockname()[1])
        config = uvicorn.Config(services.app(), log_level="error", lifespan="off", ws="none")
        serving = uvicorn.Server(config)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [listener]})
        thread.start()
        yield services
        serving.should_exit = True
        thread.join(10)


@pytest.fixture
def services(server):
    server.forget()
    return server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser():
    path = await asyncio.to_thread(chromium.executable)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def faultless(browser):
    """A browser profile of its own, in which no page may complain."""
    context = await browser.new_context(permissions=["microphone"])
    context.set_default_timeout(5_000)
    faults = []
    await context.add_init_script(AZURE + ";" + TOOLS)
    context.on("console", lambda message: faults.append(message.text) if is_fault(message) else None)
    context.on("weberror", lambda error: faults.append(str(error.error)))
    yield context
    await context.close()
    assert faults == []


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser):
    async with faultless(browser) as context:
        yield context


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(browser, server):
    """One page for all tests of pure modules: there is nothing that one could leave behind for the next."""
    async with faultless(browser) as context:
        page = await context.new_page()
        await page.goto(f"{server.page}/blank")
        yield page


def is_fault(message):
    """The browser itself writes a scripted 503 to the console; everything else there is our mistake."""
    return message.type in ("error", "warning") and not message.text.startswith("Failed to load resource")


@pytest_asyncio.fixture(loop_scope="module")
async def blank(context, services):
    """A page with nothing on it but our address, to import modules into."""
    page = await context.new_page()
    await page.goto(f"{services.page}/blank")
    return page


@pytest_asyncio.fixture(loop_scope="module")
async def page(context, services):
    """The page as a person opens it."""
    page = await context.new_page()
    await page.goto(services.page)
    await expect(page.locator("button[data-agent=elena]")).to_be_visible()
    return page


async def eventually(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


# --- the events of a call -------------------------------------------------------------------------


def started(item):
    return {"type": "input_audio_buffer.speech_started", "item_id": item}


def stopped(item):
    return {"type": "input_audio_buffer.speech_stopped", "item_id": item}


def added(item, previous, role="user", kind="added", content=()):
    said = {"id": item, "type": "message", "role": role, "content": list(content)}
    return {"type": f"conversation.item.{kind}", "previous_item_id": previous, "item": said}


def heard(item, text):
    return {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": item,
        "transcript": text,
    }


def delta(item, text, name="output_audio_transcript", response="R"):
    return {"type": f"response.{name}.delta", "item_id": item, "response_id": response, "delta": text}


def done(item, text, name="output_audio_transcript", response="R"):
    field = "text" if name.endswith("text") else "transcript"
    return {"type": f"response.{name}.done", "item_id": item, "response_id": response, field: text}


def sound(what, response="R"):
    return {"type": f"output_audio_buffer.{what}", "response_id": response}


def expire(at_ms):
    return {"expire": at_ms}


FLUSH = {"flush": True}

ASSEMBLE = """async (scripts) => {
  const { TranscriptAssembler } = await import("/transcript-assembler.js");
  return scripts.map((script) => {
    const assembler = new TranscriptAssembler({ agentId: "elena" });
    const turns = [];
    script.forEach((step, ms) => {
      if (step.flush) turns.push(...assembler.flush().turns);
      else if (step.expire) turns.push(...assembler.expire(step.expire).turns);
      else turns.push(...assembler.receive(step, ms).turns);
    });
    return { turns, lines: assembler.lines() };
  });
}"""


async def assemble(page, *script):
    [result] = await page.evaluate(ASSEMBLE, [list(script)])
    return result


def texts(result):
    return [turn["text"] for turn in result["turns"]]


# --- borders -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "owner"),
    [
        (["document.", "innerHTML", "querySelector"], "page.js"),
        (["RTCPeerConnection", "getUserMedia("], "realtime-call.js"),
        (["indexedDB", "IDBTransaction"], "transcript-outbox.js"),
        (["sessionStorage", "localStorage"], "voice-session.js"),
        (["console.", "eval("], None),
    ],
)
async def test_each_thing_of_the_browser_has_one_module(words, owner):
    users = {path.name for path in WEB.glob("*.js") if any(word in path.read_text() for word in words)}
    assert users == ({owner} if owner else set())


# --- transcript ----------------------------------------------------------------------------------


async def test_a_question_heard_late_is_released_before_its_answer(bench):
    asked = [started("U1"), stopped("U1"), added("U1", None), added("A1", "U1", "assistant")]
    answered = [delta("A1", "Hi"), done("A1", "Hi there.")]

    early = await assemble(bench, *asked, *answered)
    result = await assemble(bench, *asked, *answered, heard("U1", " Hello? "))

    assert early["turns"] == []
    assert texts(result) == ["Hello?", "Hi there."]
    first, second = result["turns"]
    assert first | {"spoken_at": ""} == {
        "turn_id": "U1",
        "previous_turn_id": None,
        "speaker": "user",
        "text": "Hello?",
        "agent_id": "elena",
        "spoken_at": "",
        "interrupted": False,
    }
    assert first["spoken_at"] == "1970-01-01T00:00:00.000Z"
    assert (second["previous_turn_id"], second["speaker"]) == ("U1", "assistant")


async def test_an_item_that_is_both_added_and_created_is_one_turn(bench):
    result = await assemble(
        bench, added("U1", None), added("U1", None, kind="created"), heard("U1", "Hello?")
    )
    assert texts(result) == ["Hello?"]


@pytest.mark.parametrize("name", ["output_audio_transcript", "audio_transcript", "output_text", "text"])
async def test_newer_and_older_names_of_an_answer_mean_the_same(bench, name):
    item = added("A1", None, "assistant", kind="created")

    partial = await assemble(bench, item, delta("A1", "Good ", name), delta("A1", "day", name))
    result = await assemble(bench, item, delta("A1", "Good ", name), done("A1", "Good day.", name))

    assert [(line["text"], line["state"]) for line in partial["lines"]] == [("Good day", "partial")]
    assert texts(result) == ["Good day."]


async def test_written_words_are_a_turn_at_once(bench):
    content = [{"type": "input_text", "text": "Hello in writing"}]
    assert texts(await assemble(bench, added("U1", None, content=content))) == ["Hello in writing"]


async def test_noise_without_words_is_no_turn_and_holds_nothing_up(bench):
    noise = [started("U1"), stopped("U1"), added("U1", None), heard("U1", "  ")]
    result = await assemble(bench, *noise, added("A1", "U1", "assistant"), done("A1", "Hm?"))
    assert texts(result) == ["Hm?"]
    assert [line["turnId"] for line in result["lines"]] == ["A1"]


async def test_speech_without_a_transcript_is_given_up_after_ten_seconds(bench):
    script = [
        started("U1"),
        stopped("U1"),
        added("U1", None),
        added("A1", "U1", "assistant"),
        done("A1", "Hm?"),
    ]

    waiting = await assemble(bench, *script, expire(9_000))
    result = await assemble(bench, *script, expire(10_002))

    assert waiting["turns"] == []
    assert waiting["lines"][0]["state"] == "partial"
    assert texts(result) == ["Hm?"]
    assert [line["state"] for line in result["lines"]] == ["unheard", "final"]


async def test_words_that_come_after_all_are_still_released(bench):
    script = [started("U1"), stopped("U1"), added("U1", None), expire(60_000), heard("U1", "I was slow.")]
    assert texts(await assemble(bench, *script)) == ["I was slow."]


async def test_a_person_may_speak_for_minutes(bench):
    result = await assemble(bench, started("U1"), expire(600_000))
    assert [line["state"] for line in result["lines"]] == ["partial"]


async def test_an_answer_stays_open_until_its_sound_stops(bench):
    script = [added("A1", None, "assistant"), sound("started"), delta("A1", "Well"), done("A1", "Well, now.")]
    assert (await assemble(bench, *script))["turns"] == []
    assert texts(await assemble(bench, *script, sound("stopped"))) == ["Well, now."]


@pytest.mark.parametrize("is_complete", [True, False], ids=["text complete", "text still coming"])
async def test_talking_over_an_answer_marks_it_interrupted(bench, is_complete):
    whole = done("A1", "Then I would split")
    script = [added("A1", None, "assistant"), sound("started"), delta("A1", "Then I"), started("U1")]
    script.insert(3 if is_complete else 4, whole)

    result = await assemble(bench, *script)

    assert [(turn["text"], turn["interrupted"]) for turn in result["turns"]] == [("Then I would split", True)]
    assert [line["state"] for line in result["lines"]] == ["interrupted", "partial"]


async def test_an_answer_that_was_heard_to_its_end_is_not_interrupted_by_the_next_question(bench):
    answer = [added("A1", None, "assistant"), sound("started"), done("A1", "Yes."), sound("stopped")]
    result = await assemble(bench, *answer, started("U1"))
    assert [turn["interrupted"] for turn in result["turns"]] == [False]


async def test_the_end_of_a_call_releases_what_was_heard_of_an_answer(bench):
    script = [
        added("A1", None, "assistant"),
        sound("started"),
        delta("A1", "I was about to"),
        started("U1"),
        FLUSH,
    ]
    result = await assemble(bench, *script)
    assert [(turn["text"], turn["interrupted"]) for turn in result["turns"]] == [("I was about to", True)]


async def test_tool_calls_and_unknown_events_take_no_line(bench):
    tool = {
        "type": "conversation.item.added",
        "previous_item_id": None,
        "item": {"id": "F1", "type": "function_call"},
    }
    script = [tool, {"type": "rate_limits.updated"}, added("A1", "F1", "assistant"), done("A1", "Done.")]
    result = await assemble(bench, *script)
    assert [line["turnId"] for line in result["lines"]] == ["A1"]
    assert texts(result) == ["Done."]


async def test_an_item_that_arrives_before_its_predecessor_is_put_behind_it(bench):
    late = [added("U2", "A1"), added("U1", None), added("A1", "U1", "assistant")]
    result = await assemble(
        bench, *late, heard("U2", "two"), done("A1", "one and a half"), heard("U1", "one")
    )
    assert texts(result) == ["one", "one and a half", "two"]


def conversation(rng):
    """One possible order of a conversation's events, and what must come of it: (turn id, interrupted)."""
    events, late, expected, previous = [], [], [], None
    for n in range(rng.randint(1, 6)):
        user, agent, response = f"U{n}", f"A{n}", f"R{n}"
        words = rng.choice(["", f"question {n}"])
        events += [started(user), stopped(user), added(user, previous)]
        late.append((rng.randint(len(events), len(events) + 25), heard(user, words)))
        events += [added(user, previous, kind="created")] * rng.randint(0, 1)
        events += [added(agent, user, "assistant"), sound("started", response)]
        answer = [delta(agent, "some ", response=response), done(agent, f"answer {n}", response=response)]
        is_cut = rng.random() < 0.4
        events += answer if not is_cut or rng.random() < 0.5 else answer[:1]
        if not is_cut:
            events.append(sound("stopped", response))
        elif events[-1] is answer[0]:
            late.append((len(events) + 1, answer[1]))  # said after the next speech_started
        expected += [(user, False)] if words else []
        expected.append((agent, is_cut))
        previous = agent
    events.append(started("end"))
    for position, event in sorted(late, key=lambda entry: -entry[0]):
        events.insert(min(position, len(events)), event)
    return [*events, FLUSH], expected


async def test_any_order_of_arrival_gives_the_same_turns_each_once(bench):
    rng = random.Random(20)
    conversations = [conversation(rng) for _ in range(250)]

    results = await bench.evaluate(ASSEMBLE, [events for events, _ in conversations])

    for (events, expected), result in zip(conversations, results, strict=True):
        turns = result["turns"]
        assert [(turn["turn_id"], turn["interrupted"]) for turn in turns] == expected, json.dumps(events)
        ids = [turn["turn_id"] for turn in turns]
        assert [turn["previous_turn_id"] for turn in turns] == [None, *ids][: len(ids)]


# --- outbox ---------------------------------------------------------------------------------------

OPEN = """async ({ url, renewed = null }) => {
  const { TranscriptOutbox } = await import("/transcript-outbox.js");
  window.renewals = [];
  const renew = async (id) => (renewals.push(id), renewed);
  window.outbox = await TranscriptOutbox.open({ renew });
  window.saved = {};
  outbox.on("change", ({ turnId, saved }) => (window.saved[turnId] = saved));
  window.route = { url, session_id: "session-1", grant: "grant-1" };
  await outbox.flush();
}"""
ADD = "(ids) => outbox.add(route, ids.map((id) => turn(id)))"
STATE = "async (id, state) => { await until(() => saved[id] === state); return outbox.stats(); }"


async def open_outbox(page, services, **options):
    await page.evaluate(OPEN, {"url": f"{services.enrichment}/memory/enrich", **options})


async def becomes(page, turn_id, saved):
    """The outbox's counts, once the turn has come so far."""
    return await page.evaluate(f"([id, state]) => ({STATE})(id, state)", [turn_id, saved])


async def go_online(page):
    await page.evaluate("() => { dispatchEvent(new Event('online')) }")


async def test_a_turn_is_posted_in_one_simple_request_and_then_forgotten(blank, services):
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1", "t2"])
    stats = await becomes(blank, "t2", "saved")

    assert stats == {"saved": 2, "rejected": 0, "refused": 0, "waiting": 0}
    assert services.turn_ids() == [["t1", "t2"]]
    assert (services.posts[0]["grant"], services.posts[0]["session_id"]) == ("grant-1", "session-1")
    assert services.content_types == ["text/plain;charset=UTF-8"]
    assert services.preflights == 0


async def test_a_turn_is_being_stored_before_it_is_sent_and_both_in_one_task(blank, services):
    await open_outbox(blank, services)
    order = await blank.evaluate("""() => {
      const order = [];
      const { add } = IDBObjectStore.prototype, { commit } = IDBTransaction.prototype, { fetch } = window;
      IDBObjectStore.prototype.add = function (row) {
        order.push("put " + this.transaction.durability);
        return add.call(this, row);
      };
      IDBTransaction.prototype.commit = function () {
        order.push("commit");
        return commit.call(this);
      };
      window.fetch = (url, request) => {
        order.push("post keepalive=" + request.keepalive);
        return fetch(url, request);
      };
      outbox.add(route, [turn("t1")]);
      return order;
    }""")
    assert order == ["put strict", "commit", "post keepalive=true"]
    await becomes(blank, "t1", "saved")


async def test_only_the_turns_that_the_answer_lists_are_deleted(blank, services):
    services.answers = [
        JSONResponse(
            {"accepted": ["t1"], "duplicate": ["t2"], "rejected": [{"turn_id": "t3", "reason": "x"}]}, 202
        ),
        JSONResponse({}, 503),
    ]
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1", "t2", "t3", "t4"])

    stats = await becomes(blank, "t4", "waiting")
    assert stats == {"saved": 2, "rejected": 1, "refused": 0, "waiting": 1}
    assert await blank.evaluate("saved.t3") == "refused"


async def test_a_202_that_is_not_ours_deletes_nothing(blank, services):
    services.answers = [JSONResponse({}, 202), JSONResponse({}, 503)]
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1"])
    assert (await becomes(blank, "t1", "waiting"))["waiting"] == 1


async def test_after_a_503_the_turns_are_sent_again_by_themselves(blank, services):
    services.answers = [JSONResponse({}, 503)]
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1"])
    await becomes(blank, "t1", "waiting")
    await becomes(blank, "t1", "saved")
    assert services.turn_ids() == [["t1"], ["t1"]]


async def test_enrichment_is_given_the_time_it_asks_for(blank, services):
    expose = {"Retry-After": "60", "access-control-expose-headers": "Retry-After"}
    services.answers = [JSONResponse({}, 503, headers=expose)]
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1"])
    await becomes(blank, "t1", "waiting")

    await go_online(blank)
    await blank.evaluate(ADD, ["t2"])

    stats = await becomes(blank, "t2", "waiting")
    assert stats["waiting"] == 2
    assert services.turn_ids() == [["t1"]]


async def test_a_dead_network_loses_nothing(blank, services, context):
    await open_outbox(blank, services)
    await context.set_offline(True)
    await blank.evaluate(ADD, ["t1", "t2"])
    await becomes(blank, "t2", "waiting")
    await context.set_offline(False)  # the browser says "online" by itself
    await becomes(blank, "t2", "saved")
    assert services.turn_ids() == [["t1", "t2"]]


async def test_a_turn_added_while_others_are_sent_is_not_stranded(blank, services):
    await open_outbox(blank, services)
    await blank.evaluate("""() => {
      for (let n = 0; n < 40; n++) outbox.add(route, [turn("t" + n)]);
    }""")
    stats = await becomes(blank, "t39", "saved")
    assert stats["waiting"] == 0
    assert services.all_turn_ids() == [f"t{n}" for n in range(40)]


async def test_a_reload_delivers_what_was_left_in_order(blank, services):
    services.closed = True
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1", "t2"])
    await becomes(blank, "t2", "waiting")
    await blank.evaluate(ADD, ["t3"])
    services.forget()

    await blank.reload()
    await open_outbox(blank, services)

    assert services.turn_ids() == [["t1", "t2", "t3"]]
    assert (await blank.evaluate("outbox.stats()"))["waiting"] == 0


async def test_an_expired_grant_is_renewed_once(blank, services):
    services.answers = [JSONResponse({}, 401)]
    await open_outbox(blank, services, renewed="grant-2")
    await blank.evaluate(ADD, ["t1"])
    await becomes(blank, "t1", "saved")
    assert [post["grant"] for post in services.posts] == ["grant-1", "grant-2"]
    assert await blank.evaluate("renewals") == ["session-1"]


async def test_a_grant_that_stays_expired_is_not_renewed_again_and_again(blank, services):
    services.answers = [JSONResponse({}, 401), JSONResponse({}, 401)]
    await open_outbox(blank, services, renewed="grant-2")
    await blank.evaluate(ADD, ["t1"])
    stats = await becomes(blank, "t1", "waiting")
    assert stats["waiting"] == 1
    assert len(services.posts) == 2


@pytest.mark.parametrize("status", [403, 410])
async def test_a_session_that_takes_no_more_turns_is_set_aside(blank, services, status):
    services.answers = [JSONResponse({}, status)]
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1"])
    assert (await becomes(blank, "t1", "refused"))["refused"] == 1

    await blank.evaluate("outbox.flush()")
    assert len(services.posts) == 1


async def test_one_unreadable_turn_does_not_hold_up_its_neighbours(blank, services):
    services.answers = [JSONResponse({}, 422), JSONResponse({}, 422)]  # the pair, then its first half
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["bad", "good"])
    await becomes(blank, "good", "saved")
    assert await blank.evaluate("saved.bad") == "refused"


async def test_many_turns_are_sent_in_several_posts_of_a_size_that_survives_a_closing_tab(blank, services):
    await open_outbox(blank, services)
    await blank.evaluate(
        "outbox.add(route, Array.from({ length: 12 }, (_, n) => turn('t' + n, 'ü'.repeat(4000))))"
    )
    await becomes(blank, "t11", "saved")
    assert services.all_turn_ids() == [f"t{n}" for n in range(12)]
    assert max(len(json.dumps(post, ensure_ascii=False).encode()) for post in services.posts) < 48 * 1024


async def test_a_disk_that_forgets_nothing_is_not_answered_with_a_storm(blank, services):
    await open_outbox(blank, services)
    await blank.evaluate("() => { IDBObjectStore.prototype.delete = () => { throw new Error('disk') } }")
    await blank.evaluate(ADD, ["t1"])
    await becomes(blank, "t1", "saved")
    await blank.evaluate("outbox.flush()")
    assert len(services.posts) <= 3


async def test_a_browser_without_storage_still_sends(blank, services):
    services.answers = [JSONResponse({}, 503)]
    await blank.evaluate(
        "() => { IDBFactory.prototype.open = () => { throw new DOMException('', 'SecurityError') } }"
    )
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1"])
    assert (await becomes(blank, "t1", "waiting"))["waiting"] == 1
    await go_online(blank)
    assert (await becomes(blank, "t1", "saved"))["waiting"] == 0


async def test_two_tabs_do_not_send_the_same_turns(blank, context, services):
    services.closed = True
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1", "t2"])
    await becomes(blank, "t2", "waiting")
    other = await context.new_page()
    await other.goto(f"{services.page}/blank")
    await open_outbox(other, services)
    services.forget()
    services.gate.clear()

    await asyncio.gather(go_online(blank), go_online(other))
    await blank.evaluate("""until(async () => {
      const { held, pending } = await navigator.locks.query();
      return held.length === 1 && pending.length === 1;
    }, "one tab to send and the other to wait")""")
    services.gate.set()

    for tab in (blank, other):
        await tab.evaluate("until(async () => (await outbox.stats()).waiting === 0, 'both tabs to be done')")
    assert services.turn_ids() == [["t1", "t2"]]


async def test_a_closing_tab_still_delivers_the_last_turn(blank, context, services):
    await open_outbox(blank, services)
    await blank.evaluate("addEventListener('pagehide', () => outbox.add(route, [turn('last')]))")
    await blank.close(run_before_unload=False)
    await eventually(lambda: services.turn_ids() == [["last"]])


# --- call -----------------------------------------------------------------------------------------

CALL = """async ({ token, withMicrophone }) => {
  const { RealtimeCall, openMicrophone } = await import("/realtime-call.js");
  const microphone = withMicrophone ? await openMicrophone() : null;
  const speaker = document.querySelector("#speaker");
  const call = (window.call = new RealtimeCall(token, { microphone, speaker }));
  window.seen = { states: [], events: [], ended: [] };
  call.on("state", (state) => seen.states.push(state));
  call.on("event", (event) => seen.events.push(event));
  call.on("ended", (reason) => seen.ended.push(reason));
  window.track = microphone?.getAudioTracks()[0];
  return call.start().then(() => "live", (error) => error.reason);
}"""


async def test_a_call_goes_live_carries_events_both_ways_and_turns_the_microphone_off(blank, services):
    assert await blank.evaluate(CALL, {"token": services.call_pass(), "withMicrophone": True}) == "live"
    await blank.evaluate("call.send({ type: 'response.create' })")
    await blank.evaluate("azure.say({ type: 'input_audio_buffer.speech_started', item_id: 'U1' })")
    await blank.evaluate("until(() => azure.heard.length && seen.events.length, 'events on both sides')")
    assert await blank.evaluate("track.readyState") == "live"
    await blank.evaluate("call.setMuted(true)")
    assert await blank.evaluate("track.enabled") is False

    await blank.evaluate("call.end()")

    assert await blank.evaluate("seen.states") == ["connecting", "live", "ended"]
    assert await blank.evaluate("[seen.ended, track.readyState]") == [["hung-up"], "ended"]
    assert await blank.evaluate("[azure.heard[0].type, azure.label]") == [
        "response.create",
        "realtime-channel",
    ]
    request = await blank.evaluate("azure.request")
    assert request["url"] == services.call_pass()["calls_url"]
    assert request["headers"] == {"Authorization": "Bearer ek_never_shown", "Content-Type": "application/sdp"}


async def test_a_call_without_a_microphone_only_listens(blank, services):
    assert await blank.evaluate(CALL, {"token": services.call_pass(), "withMicrophone": False}) == "live"
    assert "a=recvonly" in await blank.evaluate("azure.offer")


async def test_a_refused_call_ends_with_its_cause_and_turns_the_microphone_off(blank, services):
    await blank.evaluate("azure.refuse = 401")
    assert await blank.evaluate(CALL, {"token": services.call_pass(), "withMicrophone": True}) == "refused"
    assert await blank.evaluate("[seen.states, track.readyState]") == [["connecting", "ended"], "ended"]


async def test_a_call_to_nowhere_says_that_azure_is_unreachable(blank, services):
    token = services.call_pass() | {"calls_url": "http://127.0.0.1:9/"}
    await blank.evaluate("() => { window.fetch = () => Promise.reject(new TypeError('Failed to fetch')) }")
    assert await blank.evaluate(CALL, {"token": token, "withMicrophone": True}) == "unreachable"
    assert await blank.evaluate("track.readyState") == "ended"


async def test_hanging_up_while_connecting_ends_at_once(blank, services):
    await blank.evaluate("() => { azure.hold = new Promise(() => {}) }")
    outcome = blank.evaluate(CALL, {"token": services.call_pass(), "withMicrophone": True})
    ending = blank.evaluate("until(() => window.azure.offer, 'the offer').then(() => call.end())")
    assert (await asyncio.gather(outcome, ending))[0] == "hung-up"
    assert await blank.evaluate("track.readyState") == "ended"


async def test_a_call_that_azure_closes_is_lost(blank, services):
    await blank.evaluate(CALL, {"token": services.call_pass(), "withMicrophone": True})
    await blank.evaluate("azure.peer.close()")
    await blank.evaluate("until(() => seen.ended.length, 'the end')")
    assert await blank.evaluate("[seen.ended, track.readyState]") == [["lost"], "ended"]


@pytest.mark.parametrize(
    ("thrown", "word"),
    [("NotAllowedError", "blocked"), ("NotFoundError", "missing"), ("NotReadableError", "busy")],
)
async def test_a_microphone_that_does_not_open_has_a_cause_in_one_word(blank, thrown, word):
    found = await blank.evaluate(
        """async (name) => {
          navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", name));
          const { openMicrophone, MicrophoneError } = await import("/realtime-call.js");
          return openMicrophone().catch((error) => error instanceof MicrophoneError && error.word);
        }""",
        thrown,
    )
    assert found == word


# --- page -----------------------------------------------------------------------------------------


async def says(page, *events):
    for event in events:
        await page.evaluate("(event) => azure.say(event)", event)


async def is_in(page, state):
    await expect(page.locator("#state")).to_have_attribute("data-state", state)
    await expect(page.locator("#state")).to_have_text(state)


async def start(page):
    await page.click("#start")
    await is_in(page, "listening")


async def heard_by_azure(page, *types):
    await page.evaluate(
        "(types) => until(() => azure.heard.map(({ type }) => type).join() === types, types + ' at Azure')",
        ",".join(types),
    )


async def test_a_spoken_exchange_is_shown_kept_and_described_in_words(page, services):
    await start(page)
    await says(page, started("U1"), stopped("U1"), added("U1", None))
    await is_in(page, "thinking")
    await says(page, added("A1", "U1", "assistant"), sound("started"), delta("A1", "Good "))
    await is_in(page, "speaking")
    await expect(page.locator("#partial li")).to_have_count(2)
    await says(page, done("A1", "Good morning."), heard("U1", "Hello?"), sound("stopped"))
    await is_in(page, "listening")

    lines = page.locator("#transcript li[data-saved=saved]")
    await expect(lines.locator("p")).to_have_text(["Hello?", "Good morning."])
    assert [await line.get_attribute("data-speaker") for line in await lines.all()] == ["user", "assistant"]
    await expect(page.locator("#memory")).to_have_attribute("data-state", "on")
    await page.click("#start")
    await is_in(page, "ended")
    assert services.all_turn_ids() == ["U1", "A1"]


async def test_talking_over_the_agent_resets_speaking(page):
    await start(page)
    await says(page, added("A1", None, "assistant"), sound("started"), delta("A1", "Let me"), started("U1"))
    await is_in(page, "listening")
    await says(page, done("A1", "Let me tell"), sound("stopped"))
    await expect(page.locator("#transcript [data-turn-id=A1]")).to_have_attribute("data-state", "interrupted")


async def test_an_answer_that_never_comes_does_not_leave_the_page_thinking(page):
    await page.clock.install()
    await start(page)
    await says(page, started("U1"), stopped("U1"))
    await is_in(page, "thinking")
    await page.clock.fast_forward(22_000)
    await is_in(page, "listening")


async def test_a_sound_whose_end_azure_hides_does_not_leave_the_page_speaking(page):
    await page.clock.install()
    await start(page)
    await says(page, sound("started"))
    await is_in(page, "speaking")
    await page.clock.fast_forward(12_000)
    await is_in(page, "listening")


async def test_stop_talking_cancels_before_it_clears(page):
    await start(page)
    await says(page, added("A1", None, "assistant"), sound("started"), done("A1", "A long story"))
    await is_in(page, "speaking")
    await page.click("#stop-talking")
    await is_in(page, "listening")
    await heard_by_azure(page, "response.cancel", "output_audio_buffer.clear")
    await expect(page.locator("#transcript [data-turn-id=A1]")).to_have_attribute("data-state", "interrupted")


async def test_writing_opens_a_call_without_a_microphone(page, services):
    await page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('asked')) }"
    )
    await page.fill("#text", "Hello in writing")
    await page.press("#text", "Enter")
    await heard_by_azure(page, "conversation.item.create", "response.create")
    await is_in(page, "thinking")
    await says(page, added("U1", None, content=[{"type": "input_text", "text": "Hello in writing"}]))
    await expect(page.locator("#transcript li[data-saved=saved] p")).to_have_text(["Hello in writing"])
    await expect(page.locator("#mute")).to_be_hidden()


async def test_muting_is_a_state_and_keeps_the_call(page):
    await start(page)
    await page.click("#mute")
    await is_in(page, "muted")
    await expect(page.locator("#mute")).to_have_attribute("aria-pressed", "true")
    await page.click("#mute")
    await is_in(page, "listening")


async def test_a_greeting_and_a_session_update_follow_the_connection(page, services):
    services.token = {"greeting": True, "session_update": {"type": "session.update", "session": {}}}
    await page.click("#start")
    await heard_by_azure(page, "session.update", "response.create")


async def test_a_busy_broker_is_told_as_cause_and_advice_with_a_countdown(page, services):
    services.token_problem = {"type": "x", "title": "secret upstream words", "status": 503, "retryable": True}
    services.token_problem |= {"retry_after_ms": 900, "trace_id": "trace-1"}
    await page.click("#start")
    problem = page.locator("#problem")
    await expect(problem).to_contain_text("trace-1")
    assert "secret upstream words" not in await problem.inner_text()
    await expect(page.locator("#retry")).to_be_disabled()
    await expect(page.locator("#retry")).to_have_text("Try again in 1 s")
    await is_in(page, "ready")

    services.token_problem = None
    await expect(page.locator("#retry")).to_be_enabled()
    await page.click("#retry")
    await is_in(page, "listening")
    await expect(problem).to_be_hidden()


async def test_a_blocked_microphone_costs_no_token(page, services):
    await page.evaluate(
        """() => {
          const blocked = new DOMException("", "NotAllowedError");
          navigator.mediaDevices.getUserMedia = () => Promise.reject(blocked);
        }"""
    )
    await page.click("#start")
    await expect(page.locator("#problem h2")).to_have_text("Your microphone is blocked")
    assert services.tokens == []


async def test_one_can_hang_up_while_the_browser_asks_for_the_microphone(page, services):
    await page.evaluate(
        """() => {
          const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          const answered = new Promise((answer) => (window.answerPrompt = answer));
          navigator.mediaDevices.getUserMedia = async (wish) => {
            await answered;
            return (window.microphone = await open(wish));
          };
        }"""
    )
    await page.click("#start")
    await is_in(page, "connecting")
    await page.click("#start")
    await is_in(page, "ended")

    await page.evaluate("answerPrompt()")
    await page.evaluate("until(() => window.microphone?.getTracks()[0].readyState === 'ended', 'silence')")
    assert services.tokens == []


async def test_memory_failing_looks_different_from_voice_failing(page, services):
    services.closed = True
    await start(page)
    await says(page, added("A1", None, "assistant"), done("A1", "Hello."))
    await expect(page.locator("#transcript [data-turn-id=A1]")).to_have_attribute("data-saved", "waiting")
    await expect(page.locator("#memory")).to_have_attribute("data-state", "delayed")
    await expect(page.locator("#problem")).to_be_hidden()
    await is_in(page, "listening")


async def test_a_call_works_without_memory(page, services):
    services.memory = False
    await page.reload()
    await start(page)
    await says(page, added("A1", None, "assistant"), done("A1", "Hello."))
    await expect(page.locator("#transcript li p")).to_have_text(["Hello."])
    await expect(page.locator("#memory")).to_have_attribute("data-state", "off")
    assert services.posts == []


async def test_a_reload_shows_what_was_said_earlier_and_goes_on_in_the_same_session(page, services):
    await start(page)
    spoken = {"turn_id": "U1", "role": "user", "content": "What I said", "agent_id": "elena"}
    services.episode = [spoken | {"spoken_at": "2026-11-20T08:00:00Z", "delivered": True}]
    await page.reload()
    await expect(page.locator("#earlier li p")).to_have_text(["What I said"])
    await page.click("button[data-agent=sage]")
    await expect(page.locator("button[data-agent=sage]")).to_have_attribute("aria-pressed", "true")
    await start(page)
    assert services.tokens == [{"agent_id": "elena"}, {"agent_id": "sage", "session_id": "session-1"}]


async def test_closing_the_tab_while_the_agent_speaks_keeps_what_was_heard(page, services):
    await start(page)
    await says(page, added("A1", None, "assistant"), sound("started"), delta("A1", "I was about to"))
    await is_in(page, "speaking")
    await page.close(run_before_unload=False)
    await eventually(lambda: services.turn_ids() == [["A1"]])
    [kept] = services.posts[0]["turns"]
    assert (kept["text"], kept["interrupted"]) == ("I was about to", True)


async def test_a_browser_that_will_not_play_by_itself_is_given_a_tap(page):
    await page.evaluate(
        """() => {
          const { play } = HTMLMediaElement.prototype;
          HTMLMediaElement.prototype.play = function () {
            HTMLMediaElement.prototype.play = play;
            return Promise.reject(new DOMException("", "NotAllowedError"));
          };
        }"""
    )
    await start(page)
    await page.click("#hear")
    await expect(page.locator("#hear")).to_be_hidden()


async def test_no_token_reaches_the_document_or_storage(page):
    await start(page)
    kept = await page.evaluate(
        "document.documentElement.outerHTML + JSON.stringify([{...localStorage}, {...sessionStorage}])"
    )
    assert "ek_never_shown" not in kept
    assert "grant-1" not in kept
