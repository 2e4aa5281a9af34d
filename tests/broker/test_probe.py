"""``python -m broker probe`` against the simulator and worse: what it says, its exit code, its silence."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from argparse import Namespace
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from broker.minting.credentials import SCOPES, ApiKey
from broker.minting.domains import Domain
from broker.minting.outcomes import Part, Verdict
from broker.minting.strategies import Dated, Ga, Row, Strategy
from broker.probe import probe as probe_all
from broker.probe import run
from broker.probing.advice import BETTER, FURTHEST, Names, advice, most_useful
from broker.probing.asking import Finding, Patience
from broker.probing.checks import Level, deployment, transcription
from broker.probing.hearing import Heard
from broker.probing.report import WIDTH, Report
from tests.broker.build import settings
from tests.broker.certificates import self_signed
from tests.on_record import ON_RECORD
from tests.simulator.entra import CLIENT_ID, TENANT
from tests.simulator.loopback import loopback_only

ROOT = Path(__file__).parent.parent.parent
KEY = "canary-api-key-0123456789"
KEY_2 = "canary-second-key-9876543210"
BEARER = "canary-access-token-abcdef"
SECRET = re.compile("canary|ek_|Be brief|Authorization: Bearer")
NAMES = Names("primary", SCOPES[0])
REQUEST_ID = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"


@pytest.fixture(scope="module")
def simulator():
    """The simulated resource as a process; its address."""
    command = [sys.executable, "-m", "tests.simulator", "--port", "0", "--key", KEY, "--slow", "2.1"]
    with subprocess.Popen(
        [*command, "--bearer", BEARER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


@pytest.fixture
def served():
    """Starts servers that answer every request as told: ``answer(handler) -> status, headers, body``."""
    servers = []

    def start(answer, tls=None):
        class AsTold(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                status, headers, body = answer(self)
                self.send_response_only(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), AsTold)
        server.handle_error = lambda *_: None  # a client that hangs up is what some tests are about
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        host = "http://127.0.0.1" if tls is None else "https://localhost"
        return f"{host}:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def probe(monkeypatch, capsys):
    """Runs the probe with these settings; its exit code and what it printed, which is never a secret."""

    def probed(endpoint=None, *, as_json=False, call=False, **changed):
        usual = {"environment": "development", "azure_voicelive_endpoint": endpoint}
        if "azure_voicelive_identity" not in changed:
            usual["azure_voicelive_key"] = KEY
        for name, value in (usual | changed).items():
            if value is not None:
                monkeypatch.setenv(name.upper(), value)
        try:
            code = run(Namespace(json=as_json, call=call))
        except SystemExit as exc:
            code = int(exc.code or 0)
        out, err = capsys.readouterr()
        assert not SECRET.search(out + err)
        return code, out, err

    return probed


def error(status, code, headers=(), **said):
    """A server's answer in Azure's detailed form."""
    body = json.dumps({"error": {"code": code, **said}}).encode()
    return status, {"Content-Type": "application/json", **dict(headers)}, body


def minted(headers=()):
    body = json.dumps({"value": "ek_1", "expires_at": int(time.time()) + 60}).encode()
    return 200, {"Content-Type": "application/json", **dict(headers)}, body


def finding(verdict=None, **changed):
    domain = Domain(changed.pop("domain", "primary"), "https://res.openai.azure.com", "voice")
    credential = ApiKey(SecretStr(KEY), changed.pop("credential", "key"))
    strategy, dialect = changed.pop("strategy", Strategy.DIRECT), changed.pop("dialect", Ga())
    return Finding(Row(domain, strategy, dialect, credential), verdict, **changed)


def said(code="", param=""):
    return Heard(400, code, param)


@pytest.mark.parametrize(
    ("deployment", "code", "fault", "mend"),
    [
        ("gpt-realtime", 0, "OK: primary/direct/ga/key mints", "1 of 1 ways work"),
        ("gpt-realtime-429", 1, "throttled:", "come back in 1 s"),
        ("gpt-realtime-500", 1, "transient:", "try in a minute"),
        (
            "gpt-realtime-500-with-transcription",
            0,
            "minted without transcription",
            "the browser turns it on after connecting",
        ),
        (
            "Gpt-Realtime",
            1,
            "no such deployment:",
            "create a deployment named Gpt-Realtime in {host}, or set AZURE_VOICELIVE_MODEL; names are case",
        ),
        ("gpt-4o", 1, "session refused: gpt-4o is no realtime model", "AZURE_VOICELIVE_MODEL"),
        ("gpt-realtime-bad-body", 1, "bad answer:", "something in between changes answers"),
        ("gpt-realtime-html-body", 1, "bad answer:", "a gateway or sign-in page stands in front of it"),
        ("gpt-realtime-huge-body", 1, "bad answer:", "something else answers in Azure's place"),
        ("gpt-realtime-expired-token", 1, "bad answer:", "sent no token that lasts"),
        (
            "gpt-realtime-slow",
            1,
            "timeout: the token came after 2",
            "the broker waits 2 s; add a nearer domain",
        ),
    ],
)
def test_the_last_line_names_the_fault_and_the_mend(simulator, probe, deployment, code, fault, mend):
    exit_code, out, _ = probe(simulator, azure_voicelive_model=deployment)

    *table, last = out.splitlines()
    assert exit_code == code
    assert fault in last
    assert mend.format(host=simulator.partition("//")[2]) in last
    assert max(map(len, table)) <= WIDTH
    assert "\x1b" not in out
    assert out.isascii()


def test_a_wrong_key_is_named_by_its_variable(simulator, probe):
    code, out, _ = probe(
        simulator, azure_voicelive_key="canary-wrong-key", azure_voicelive_key_2=f"{KEY}-too"
    )

    assert code == 1
    assert "credential refused: AZURE_VOICELIVE_KEY is no key of" in out
    assert "credential refused: AZURE_VOICELIVE_KEY_2 is no key of" in out


def test_one_good_key_is_enough_and_the_bad_one_is_still_named(simulator, probe):
    code, out, _ = probe(simulator, azure_voicelive_key="canary-wrong-key", azure_voicelive_key_2=KEY)

    assert code == 0
    assert "AZURE_VOICELIVE_KEY is no key of" in out
    assert out.splitlines()[-1].startswith("OK: primary/direct/ga/key 2 mints")
    assert out.splitlines()[-1].endswith("1 of 2 ways work")


def test_a_closed_port_says_that_nothing_listens(probe):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]

    code, out, _ = probe(f"http://127.0.0.1:{port}")

    assert code == 1
    assert f"unreachable: nothing listens at 127.0.0.1:{port}; look at AZURE_VOICELIVE_ENDPOINT" in out


def test_a_host_that_does_not_exist_says_so(probe):
    code, out, _ = probe("https://resource.invalid")

    assert code == 1
    assert "unreachable: no such host resource.invalid" in out.splitlines()[-1]


def test_a_certificate_that_nobody_signed_is_insecure_and_not_a_timeout(served, probe, tmp_path):
    endpoint = served(lambda _: minted(), tls=self_signed(tmp_path / "localhost.pem"))

    code, out, _ = probe(endpoint)

    assert code == 1
    assert "insecure: the certificate of localhost:" in out.splitlines()[-1]


def test_a_domain_of_the_list_is_mended_in_the_list(simulator, probe):
    elsewhere = simulator.replace("127.0.0.1", "localhost")  # the same address would be the same row
    further = [{"region": "west", "endpoint": elsewhere, "key": KEY, "model": "nope"}]

    code, out, _ = probe(
        simulator, azure_voicelive_domains=json.dumps(further), azure_voicelive_model="gpt-realtime-500"
    )

    assert code == 1
    assert 'or set "model" of west in AZURE_VOICELIVE_DOMAINS' in out.splitlines()[-1]


def test_json_has_the_same_in_stable_keys(simulator, probe):
    code, out, _ = probe(simulator, as_json=True, azure_voicelive_model="nope")

    found = json.loads(out)
    assert code == 1
    assert found.keys() == {"works", "best", "summary", "rows", "checks", "call"}
    (row,) = found["rows"]
    assert re.fullmatch(r"[0-9a-f-]{36}", row.pop("request_id"))
    assert row.pop("ms") >= 0
    assert row.pop("advice").startswith("no such deployment: ")
    assert row == {
        "row": "primary/direct/ga/key",
        "domain": "primary",
        "strategy": "direct",
        "dialect": "ga",
        "credential": "key",
        "endpoint": simulator,
        "model": "nope",
        "status": 404,
        "verdict": "no such deployment",
        "cause": None,
        "code": "DeploymentNotFound",
        "retry_after_s": None,
        "left_out": [],
    }
    assert {check["name"] for check in found["checks"]} == {"deployment", "transcription", "voices", "clock"}


def test_a_call_is_completed_without_a_browser(simulator, probe):
    with loopback_only():
        code, out, _ = probe(simulator, as_json=True, call=True)

    call = json.loads(out)["call"]
    assert code == 0
    assert call["completed"]
    assert call["words"] > 2
    assert list(call["ms"]) == ["offer", "channel", "answer", "hang up"]


@pytest.mark.parametrize(
    ("deployment", "mend"),
    [
        ("gpt-realtime-sdp-refused", "TOKEN, BUT NO CALL: the offer is refused with HTTP 400"),
        ("gpt-realtime-channel-closes-early", "TOKEN, BUT NO CALL: Azure closed the call before it spoke"),
    ],
)
def test_a_call_that_breaks_off_is_an_exit_of_1_with_advice(simulator, probe, deployment, mend):
    with loopback_only():
        code, out, _ = probe(simulator, call=True, azure_voicelive_model=deployment)

    assert code == 1
    assert out.splitlines()[-1].startswith(mend)


def test_without_aiortc_a_call_is_refused_in_a_sentence(probe, monkeypatch):
    monkeypatch.setitem(sys.modules, "aiortc", None)

    code, out, err = probe("https://resource.invalid", call=True)

    assert (code, out) == (2, "")
    assert "aiortc is not installed" in err


@pytest.mark.parametrize(
    ("given", "mistake"),
    [
        ({}, "AZURE_VOICELIVE_ENDPOINT: not set"),
        (
            {"azure_voicelive_endpoint": f"https://{KEY}.example.org/else"},
            "AZURE_VOICELIVE_ENDPOINT: has a path",
        ),
        ({"environment": "nowhere", "vad_threshold": "7"}, "VAD_THRESHOLD: "),
    ],
)
def test_bad_configuration_is_listed_and_exits_with_2(probe, given, mistake):
    code, out, err = probe(**given)

    assert (code, out) == (2, "")
    assert mistake in err


def test_as_a_process_it_says_the_same(simulator):
    environment = {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "production",
        "MINT_ALLOW_KEY": "true",
        "ENTRA_TENANTS": f'["{TENANT}"]',
        "ENTRA_AUDIENCES": f'["{CLIENT_ID}"]',
        "AZURE_VOICELIVE_ENDPOINT": simulator,
        "AZURE_VOICELIVE_KEY": KEY,
        **{name.upper(): str(value) for name, value in ON_RECORD.items()},
    }
    command = [sys.executable, "-m", "broker", "probe", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0
    assert json.loads(done.stdout)["best"] == "primary/direct/ga/key"
    assert done.stderr == "Asking 1 way to mint ...\n"


def test_an_upstream_that_repeats_our_key_everywhere_is_not_quoted(served, probe):
    def echo(handler):
        key = handler.headers["api-key"]
        headers = {
            "apim-request-id": key,
            "x-request-id": key,
            "Retry-After": key,
            "Date": key,
            "Location": key,
        }
        return error(400, key, headers, param=key, message=key, type=key)

    code, out, _ = probe(served(echo), as_json=True)

    assert code == 1
    assert json.loads(out)["rows"][0]["verdict"] == "session refused"


def test_a_clock_that_is_wrong_is_a_warning(served, probe):
    an_hour_ago = formatdate(time.time() - 3600, usegmt=True)

    _, out, _ = probe(served(lambda _: error(503, "busy", {"Date": an_hour_ago})))

    assert re.search(r"warning +clock +this machine is 3\d\d\d s ahead of Azure; start its time sync", out)


def test_a_voice_that_realtime_cannot_speak_is_a_warning(simulator, probe):
    code, out, _ = probe(simulator, azure_voicelive_voice="en-US-AvaNeural")

    assert code == 0
    assert re.search(
        r"warning +voices +AZURE_VOICELIVE_VOICE is no realtime voice; elena speaks with marin", out
    )


def managed_identity(served, monkeypatch, token):
    """The identity endpoint that Azure gives an app, handing out ``token(resource)``."""

    def answer(handler):
        body = {"access_token": token(handler.path), "expires_on": int(time.time()) + 3600, "resource": "r"}
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()

    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{served(answer)}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "canary-identity-header")


def test_an_identity_that_may_mint_is_said_to(simulator, served, probe, monkeypatch):
    managed_identity(served, monkeypatch, lambda _: BEARER)

    code, out, _ = probe(simulator, azure_voicelive_identity="managed")

    assert code == 0
    assert "OK: primary/direct/ga/identity mints" in out
    assert re.search(r"ok +role +the identity may mint", out)


def test_an_identity_without_its_role_is_told_which(served, probe, monkeypatch):
    managed_identity(served, monkeypatch, lambda _: BEARER)
    azure = served(lambda _: error(401, "PermissionDenied", message=f"The principal `{BEARER}` lacks …"))

    code, out, _ = probe(azure, azure_voicelive_identity="managed")

    assert code == 1
    assert 'role "Cognitive Services OpenAI User" or "Cognitive Services User"' in out.splitlines()[-1]


def test_a_refused_scope_is_changed_as_the_broker_does_and_said(served, probe, monkeypatch):
    managed_identity(served, monkeypatch, lambda path: "new" if "ai.azure.com" in path else "old")

    def azure(handler):
        if handler.headers["authorization"] == "Bearer old":
            return minted()
        return error(401, "401", message="Access token has the wrong audience")

    code, out, _ = probe(served(azure), azure_voicelive_identity="managed")

    assert code == 0
    assert f"set AZURE_VOICELIVE_SCOPE={SCOPES[1]}" in " ".join(out.split())


def test_an_identity_that_is_not_there_leaves_the_key_to_mint(simulator, served, probe, monkeypatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", served(lambda _: error(400, "no identity")))
    monkeypatch.setenv("IDENTITY_HEADER", "canary-identity-header")

    code, out, err = probe(simulator, azure_voicelive_identity="managed", azure_voicelive_key=KEY)

    assert code == 0
    assert err == "Asking 2 ways to mint ...\n"
    assert re.search(r"identity +- +\d+ +credential not ready +\[1\]", out)
    assert "OK: primary/direct/ga/key mints" in out


async def test_everything_ends_within_the_deadline():
    impatient = Patience(row_s=5.0, all_s=0.1, together=1)
    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        endpoint = f"http://127.0.0.1:{never_answers.getsockname()[1]}"
        asked = settings(azure_voicelive_endpoint=endpoint, azure_voicelive_key_2=KEY_2)
        report = await probe_all(asked, with_call=True, progress=io.StringIO(), patience=impatient)

    assert [found.cause for found in report.findings] == ["deadline", "deadline"]
    assert not report.works
    assert report.call is None
    assert "timeout:" in report.summary


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_advice_that_fits_and_a_line_in_the_readme(verdict):
    line = advice(finding(verdict), NAMES)

    assert line.startswith(f"{verdict}: ")
    assert "{" not in line
    assert verdict in FURTHEST
    section = (ROOT / "README.md").read_text().partition("## When no token comes")[2].partition("\n## ")[0]
    assert f"| {verdict} |" in section


@pytest.mark.parametrize(("verdict", "word"), BETTER)
def test_every_better_advice_is_given_when_its_word_is_known(verdict, word):
    usual = advice(finding(verdict), NAMES)
    shapes = {"identity": {"credential": word}, "dated": {"dialect": Dated("2025-08-28")}}
    shape = shapes.get(word) or ({"strategy": Strategy.PROJECT} if word == "project" else {"cause": word})

    line = advice(finding(verdict, **shape), NAMES)

    assert line != usual
    assert line.startswith(f"{verdict}: ")
    assert "{" not in line


def test_azure_s_code_and_param_say_more_than_the_verdict():
    disabled = finding(Verdict.FORBIDDEN, heard=said("AuthenticationTypeDisabled"))
    voice = finding(Verdict.SESSION_REFUSED, heard=said("invalid_value", "session.audio.output.voice"))

    assert "keys are switched off" in advice(disabled, NAMES)
    assert "AZURE_VOICELIVE_VOICE" in advice(voice, NAMES)


def test_parts_that_were_left_out_are_told():
    line = advice(finding(left_out=frozenset(Part)), NAMES)
    assert {word for word in ("life time", "noise reduction", "transcription") if word in line} == {
        "life time",
        "noise reduction",
        "transcription",
    }


@pytest.mark.parametrize(
    ("verdicts", "first"),
    [
        ([Verdict.NO_SUCH_ROUTE, Verdict.NO_SUCH_DEPLOYMENT], Verdict.NO_SUCH_DEPLOYMENT),
        ([Verdict.NOT_READY, Verdict.THROTTLED], Verdict.THROTTLED),
        ([Verdict.UNREACHABLE, Verdict.CREDENTIAL], Verdict.CREDENTIAL),
        ([Verdict.NO_SUCH_ROUTE], Verdict.NO_SUCH_ROUTE),
    ],
)
def test_the_most_useful_mend_is_that_of_the_row_that_came_furthest(verdicts, first):
    assert most_useful([finding(verdict) for verdict in verdicts]).verdict is first


def test_between_domains_what_a_person_can_mend_comes_first():
    outage, wrong_key = finding(Verdict.TRANSIENT), finding(Verdict.CREDENTIAL, domain="west")
    assert most_useful([outage, wrong_key]) is wrong_key


def test_a_deployment_is_only_judged_by_who_came_that_far():
    assert deployment([finding(Verdict.CREDENTIAL)], NAMES).level is Level.UNKNOWN
    assert deployment([finding(Verdict.NO_SUCH_DEPLOYMENT), finding()], NAMES).level is Level.OK


@pytest.mark.parametrize(
    ("model", "left_out", "level"),
    [
        (None, (), Level.WARNING),
        ("whisper-1", (), Level.OK),
        ("whisper-1", (Part.TRANSCRIPTION,), Level.WARNING),
        ("gpt-4o-transcribe", (), Level.WARNING),
    ],
)
def test_the_transcription_is_judged_by_what_was_minted(model, left_out, level):
    assert transcription([finding(left_out=frozenset(left_out))], model).level is level


def test_colours_are_for_terminals_only_and_change_no_words():
    report = Report([finding(), replace(finding(Verdict.CREDENTIAL), status=401)], [], NAMES)

    plain, painted = "\n".join(report.lines(colours=False)), "\n".join(report.lines(colours=True))

    assert "\x1b" not in plain
    assert "\x1b[32mminted\x1b[0m" in painted
    assert re.sub(r"\x1b\[\d+m", "", painted) == plain
