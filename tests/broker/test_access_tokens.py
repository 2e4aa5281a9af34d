"""What an access token must be, and how often it is proved."""

from __future__ import annotations

import base64
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as some
from starlette.requests import Request

from broker.edge.access_tokens import LATEST, MOST_PROVED
from broker.edge.callers import Caller, Callers, DevelopmentTokens, Everyone, Proof
from broker.edge.entra import Entra as SignIn
from broker.edge.entra import Registration
from broker.edge.problems import NotAllowed, NotSignedIn, RolesNotInToken, SignInUnverifiable
from enrichment.app import create_app as create_enrichment
from tests.broker.build import SIGN_IN, settings
from tests.broker.over_http import broker_app, problem
from tests.clocks import Clock
from tests.enrichment.build import settings as enrichment_settings
from tests.enrichment.service import as_bearer
from tests.running import running
from tests.simulator.entra import ADDRESS, ALICE, CLIENT_ID, TENANT, Entra, create_app
from tests.simulator.listening import listening

REFUSED = (NotSignedIn, NotAllowed, RolesNotInToken, SignInUnverifiable)


class System:
    """A simulated tenant and a way in, by two clocks that move when a test says so."""

    def __init__(self, *audiences):
        self.clock, self.monotonic = Clock(), Clock(100.0)
        self.entra = Entra(self.clock)
        registration = Registration(frozenset({TENANT}), frozenset(audiences or {CLIENT_ID, ADDRESS}))
        sign_in = SignIn(registration, self.entra.fetch, now=self.clock, monotonic=self.monotonic)
        self.tokens = sign_in.tokens
        self.read = self.tokens.read

    def pass_s(self, seconds):
        self.clock.pass_s(seconds)
        self.monotonic.pass_s(seconds)


@pytest.fixture
def system():
    return System()


@pytest.fixture
def proved(monkeypatch):
    """Which tokens had their signature checked."""
    from broker.edge import access_tokens

    checked, check = [], access_tokens.proved

    def counted(compact, *args):
        checked.append(compact)
        return check(compact, *args)

    monkeypatch.setattr(access_tokens, "proved", counted)
    return checked


@pytest.mark.parametrize(
    ("roles", "role"),
    [
        (["engram.admin"], "admin"),
        (["Admin"], "admin"),
        (["engram.analyst"], "analyst"),
        (["Analyst"], "analyst"),
        (["engram.pm"], "pm"),
        (["PM"], "pm"),
        (["engram.user"], "user"),
        (["User"], "user"),
        (["engram.viewer"], "viewer"),
        (["Viewer"], "viewer"),
        (["Viewer", "engram.user", "SomethingElse"], "user"),
        (["engram.user", "Admin"], "admin"),
    ],
)
async def test_a_role_counts_in_both_spellings_and_of_several_the_highest(system, roles, role):
    assert await system.read(system.entra.token(roles=roles)) == Caller(
        f"{TENANT}:{ALICE}", role, Proof.ENTRA
    )


async def test_a_person_is_the_same_whatever_they_are_called_and_by_which_version(system):
    tokens = [
        system.entra.token(preferred_username="renamed@example.org", sub="another", name="Renamed"),
        system.entra.token(oid=ALICE.upper()),
        system.entra.sign(system.entra.claims_v1()),
    ]
    assert {(await system.read(token)).person for token in tokens} == {f"{TENANT}:{ALICE}"}


@pytest.mark.parametrize(("audience", "is_v1"), [(ADDRESS, True), (CLIENT_ID, False)])
async def test_of_a_version_that_no_audience_is_of_no_token_counts(audience, is_v1):
    system = System(audience)
    v1, v2 = system.entra.sign(system.entra.claims_v1()), system.entra.token()
    good, bad = (v1, v2) if is_v1 else (v2, v1)
    assert await system.read(good)
    with pytest.raises(NotSignedIn, match="tenant"):
        await system.read(bad)


async def test_a_token_is_proved_once_a_minute(system, proved):
    token = system.entra.token()
    for _ in range(4):
        await system.read(token)
        system.pass_s(29)
    assert len(proved) == 2


async def test_what_was_proved_is_believed_no_longer_than_the_token_lasts(system):
    token = system.entra.token(exp=int(system.clock()) + 5)
    await system.read(token)
    system.pass_s(5 + 59)
    await system.read(token)
    system.pass_s(1)
    with pytest.raises(NotSignedIn, match="expired"):
        await system.read(token)


async def test_a_clock_that_is_put_back_keeps_nothing_alive(system, proved):
    token = system.entra.token()
    await system.read(token)
    system.pass_s(60)
    system.clock.pass_s(-60)
    await system.read(token)
    assert len(proved) == 2


async def test_of_what_was_proved_only_so_much_is_remembered(system):
    for number in range(MOST_PROVED + 5):
        system.tokens._keep(number.to_bytes(32), Caller("p", "user", Proof.ENTRA), int(system.clock()) + 60)
    assert len(system.tokens._proved) == MOST_PROVED


async def test_nothing_of_a_refused_token_is_remembered(system):
    for claims in ({"aud": "x"}, {"roles": []}, {"exp": 1}):
        with pytest.raises(REFUSED):
            await system.read(system.entra.token(**claims))
    assert not system.tokens._proved


SYSTEM = System()
TOKEN = SYSTEM.entra.token()


def decoded(compact):
    try:
        return [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in compact.split(".")]
    except ValueError:
        return None


@trying(deadline=None)  # RSA on a busy machine
@given(place=some.integers(0, len(TOKEN) - 1), letter=some.characters(max_codepoint=0xFF))
async def test_no_changed_letter_survives(place, letter):
    changed = TOKEN[:place] + letter + TOKEN[place + 1 :]
    if decoded(changed) != decoded(TOKEN):
        with pytest.raises(REFUSED):
            await SYSTEM.read(changed)


@trying(deadline=None)  # RSA on a busy machine
@given(compact=some.text(max_size=60) | some.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*"))
async def test_text_is_no_token_and_no_bug(compact):
    with pytest.raises(REFUSED):
        await SYSTEM.read(compact)


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
CLAIMS = [
    "aud",
    "iss",
    "exp",
    "nbf",
    "iat",
    "tid",
    "oid",
    "ver",
    "azp",
    "scp",
    "roles",
    "sub",
    "_claim_names",
]


@trying(deadline=None)  # RSA on a busy machine
@given(claims=some.dictionaries(some.sampled_from(CLAIMS), JSON, min_size=1, max_size=3))
async def test_whatever_entra_may_sign_is_somebody_or_refused_and_never_a_bug(claims):
    try:
        caller = await SYSTEM.read(SYSTEM.entra.sign(SYSTEM.entra.claims() | claims))
    except REFUSED:
        return
    assert (caller.person, caller.role) == (f"{TENANT}:{ALICE}", "user")
    said = SYSTEM.entra.claims() | claims
    assert all(0 < said[name] < LATEST for name in ("exp", "nbf", "iat"))


@trying(deadline=None)  # RSA on a busy machine
@given(header=some.dictionaries(some.sampled_from(["typ", "alg", "kid", "jku", "crit", "b64", "x"]), JSON))
async def test_whatever_a_header_says_is_refused_or_good_and_never_a_bug(header):
    head = {"typ": "JWT", "alg": "RS256", "kid": "k"} | header
    part = base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
    with pytest.raises(REFUSED):
        await SYSTEM.read(f"{part}.{TOKEN.split('.', 1)[1]}")


def shown(credential, **headers):
    lines = [(b"authorization", f"Bearer {credential}".encode())] if credential else []
    lines += [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "scheme": "http", "server": ("test", 80), "path": "/", "headers": lines}
    return Request(scope)


async def test_ways_are_asked_in_order_and_the_first_that_says_no_ends_it(system):
    callers = Callers([system.tokens, DevelopmentTokens()])
    assert (await callers.identify(shown(system.entra.token()))).person == f"{TENANT}:{ALICE}"
    assert (await callers.identify(shown("dev_a.b.c_user"))).person == "dev:a.b.c"
    for bad in ("a.b.c", "dev_root_root", "opaque", None):
        with pytest.raises(NotSignedIn):
            await callers.identify(shown(bad))


async def test_who_sends_nothing_is_told_what_to_send(system):
    with pytest.raises(NotSignedIn, match=r"an access token of Entra ID or dev_<user>_<role>$"):
        await Callers([system.tokens, DevelopmentTokens()]).identify(shown(None))
    with pytest.raises(NotSignedIn, match="no way to sign in"):
        await Callers([]).identify(shown("dev_a_admin"))


def test_only_where_nothing_is_proved_everybody_is_let_in(system):
    assert Callers([Everyone([])]).let_anyone_in
    assert not Callers([system.tokens, DevelopmentTokens()]).let_anyone_in


async def test_over_real_sockets_a_service_principal_signs_in_to_both_services(tmp_path):
    entra = Entra()
    async with (
        listening(create_app(entra, roles=["engram.analyst"])) as authority,
        httpx.AsyncClient() as http,
    ):
        known = f"{authority}/{TENANT}/v2.0/.well-known/openid-configuration"
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": "simulated"}
        endpoint = (await http.get(known)).json()["token_endpoint"]
        bears = as_bearer((await http.post(endpoint, data=form)).json()["access_token"])
        sign_in = SIGN_IN | {"entra_authority": authority}
        async with running(broker_app(settings(**sign_in))) as broker:
            analyst = await broker.get("/realtime/strategies", headers=bears)
            problem(analyst, 403, "not-allowed")
        async with running(create_enrichment(enrichment_settings(tmp_path, **sign_in))) as enrichment:
            assert (await enrichment.get("/memory/episodes", headers=bears)).status_code == 200
    assert len(entra.fetched_at) == 4  # each service both versions' keys, once


KEY_SET = Entra().key_set()


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 503, "json": KEY_SET},
        {"status_code": 302, "json": KEY_SET, "headers": {"Location": "https://evil.example/keys"}},
        {"text": json.dumps(KEY_SET) + " " * 70_000},
        {"html": "<h1>Sign in</h1>"},
        {"json": {"keys": []}},
    ],
    ids=["away", "redirected", "too-long", "a-page", "empty"],
)
async def test_what_is_no_key_set_tells_callers_to_wait_in_both_services(tmp_path, respx_mock, answer):
    elsewhere = respx_mock.route(host="evil.example").respond(200, json=KEY_SET)
    respx_mock.route(host="login.microsoftonline.com").respond(**answer)
    bears = as_bearer(Entra().token())
    async with running(broker_app(settings(**SIGN_IN))) as broker:
        told = await broker.post("/realtime/token", headers=bears)
        assert problem(told, 503, "sign-in-unverifiable")["retryable"] is True
    async with running(create_enrichment(enrichment_settings(tmp_path, **SIGN_IN))) as enrichment:
        told = await enrichment.get("/memory/episodes", headers=bears)
        problem(told, 503, "sign-in-unverifiable")
    assert elsewhere.call_count == 0
