"""What to do about it: one line for every verdict, and a better one where more is known.

What Azure's codes mean was seen or is documented at
https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-webrtc (checked 2026-11-20).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from broker.minting.credentials import SCOPES
from broker.minting.outcomes import MISCONFIGURED, Part, Verdict
from broker.minting.strategies import Row
from broker.probing.asking import Finding

ROLES = '"Cognitive Services OpenAI User" or "Cognitive Services User"'
NOT_REALTIME = "{model} is no realtime model; deploy gpt-realtime and name that in {model_setting}"
ASK_ROLE = f"give the identity the role {ROLES} on the resource; it takes minutes to work"

MENDS: Mapping[Verdict, str] = {
    Verdict.TRANSIENT: "Azure itself fails; try in a minute, see Azure's status page, or add a domain",
    Verdict.TIMEOUT: "{host} takes the question and does not answer; if it lasts, add a domain elsewhere",
    Verdict.UNREACHABLE: "no connection to {host} holds; look at firewall, proxy and {endpoint_setting}",
    Verdict.INSECURE: "the certificate of {host} does not hold: a proxy that opens TLS, or the wrong host",
    Verdict.THROTTLED: "the quota of {model} is spent; come back in {wait}, raise it, or add a domain",
    Verdict.CREDENTIAL: "{key_setting} is no key of {host}; copy KEY 1 or KEY 2 of that very resource",
    Verdict.WRONG_AUDIENCE: "Azure wants a token for another scope; set AZURE_VOICELIVE_SCOPE={other_scope}",
    Verdict.FORBIDDEN: "firewall, private endpoint or region of {host} refuses us; allow this address",
    Verdict.NO_SUCH_ROUTE: "{host} has no realtime there; mend {endpoint_setting} if no other way mints",
    Verdict.REDIRECT: "{host} redirects, which is never followed; give the resource's own address",
    Verdict.NO_SUCH_DEPLOYMENT: (
        "create a deployment named {model} in {host}, or set {model_setting}; names are case-sensitive"
    ),
    Verdict.WRONG_DIALECT: "{host} speaks an older body; give the resource's own address, not a gateway's",
    Verdict.REFUSED_PART: "{host} refuses optional parts and still does without them; look at {param}",
    Verdict.SESSION_REFUSED: "Azure refuses our session{at_param}; look at voice, VAD and model settings",
    Verdict.BAD_ANSWER: "{host} said yes and sent no token that lasts; something in between changes answers",
    Verdict.NOT_READY: "no access token yet; look at AZURE_VOICELIVE_IDENTITY and AZURE_CLIENT_ID",
    Verdict.UNKNOWN: "HTTP {status}, which nobody has described; give Azure the request id (--json)",
}

# More is known: by Azure's code, by our own word for the cause, by credential, dialect or strategy.
BETTER: Mapping[tuple[Verdict, str], str] = {
    (
        Verdict.TIMEOUT,
        "late",
    ): "the token came after {ms} ms and the broker waits 2 s; add a nearer domain, or mend the network",
    (Verdict.TIMEOUT, "no connection"): (
        "{host} never takes the connection; a firewall drops it: allow TCP 443 out, or mend the private DNS"
    ),
    (Verdict.TIMEOUT, "deadline"): "the probe ended before it could answer; mend the other rows first",
    (Verdict.UNREACHABLE, "dns"): (
        "no such host {host}; look for a typing error in {endpoint_setting}, or at the private DNS zone"
    ),
    (
        Verdict.UNREACHABLE,
        "closed port",
    ): "nothing listens at {host}; look at {endpoint_setting} and its port",
    (Verdict.CREDENTIAL, "identity"): ASK_ROLE,
    (Verdict.CREDENTIAL, "PermissionDenied"): ASK_ROLE,
    (Verdict.FORBIDDEN, "AuthenticationTypeDisabled"): (
        "keys are switched off at {host}; set AZURE_VOICELIVE_IDENTITY=managed and give it a role"
    ),
    (
        Verdict.NO_SUCH_ROUTE,
        "dated",
    ): "Azure has no dated surface any more; unset AZURE_VOICELIVE_API_VERSION",
    (
        Verdict.NO_SUCH_ROUTE,
        "project",
    ): "projects carry no documented mint; unset AZURE_VOICELIVE_PROJECT_NAME",
    (Verdict.WRONG_DIALECT, "dated"): "this surface wants no date; unset AZURE_VOICELIVE_API_VERSION",
    (
        Verdict.WRONG_DIALECT,
        "BadRequest",
    ): "an api-version is added on the way; stop the gateway from adding it",
    (Verdict.SESSION_REFUSED, "OpperationNotSupported"): NOT_REALTIME,  # Azure's own spelling
    (Verdict.SESSION_REFUSED, "OperationNotSupported"): NOT_REALTIME,
    (Verdict.SESSION_REFUSED, "session.audio.output.voice"): (
        "the model does not know the voice; set AZURE_VOICELIVE_VOICE to a realtime voice, or unset it"
    ),
    (Verdict.BAD_ANSWER, "page"): (
        "{host} sent a web page for a token; a gateway or sign-in page stands in front of it: go around it"
    ),
    (
        Verdict.BAD_ANSWER,
        "large",
    ): "{host} sent more than any token is; something else answers in Azure's place",
    (Verdict.NOT_READY, "silent"): (
        "the identity endpoint never answers; assign a managed identity to this app, check AZURE_CLIENT_ID"
    ),
    (Verdict.NOT_READY, "absent"): (
        "no identity on this machine; assign one to the app, or here AZURE_VOICELIVE_IDENTITY=cli, az login"
    ),
    (Verdict.NOT_READY, "refused"): "Entra refuses the identity; look at AZURE_CLIENT_ID and AZURE_TENANT_ID",
    (
        Verdict.NOT_READY,
        "AADSTS7000215",
    ): "AZURE_CLIENT_SECRET is wrong: it needs the secret's value, not its id",
    (Verdict.NOT_READY, "AADSTS7000222"): "AZURE_CLIENT_SECRET has expired; make a new one in Entra",
    (
        Verdict.NOT_READY,
        "AADSTS700016",
    ): "no such app in the tenant; look at AZURE_CLIENT_ID and AZURE_TENANT_ID",
    (Verdict.NOT_READY, "AADSTS90002"): "no such tenant; look at AZURE_TENANT_ID",
    (
        Verdict.NOT_READY,
        "AADSTS500011",
    ): f"Entra does not know the scope; AZURE_VOICELIVE_SCOPE is {SCOPES[0]}",
}

# How far a row came, furthest first: who came furthest needs least to work.
FURTHEST = (
    Verdict.THROTTLED,
    Verdict.BAD_ANSWER,
    Verdict.SESSION_REFUSED,
    Verdict.REFUSED_PART,
    Verdict.NO_SUCH_DEPLOYMENT,
    Verdict.TRANSIENT,
    Verdict.FORBIDDEN,
    Verdict.WRONG_AUDIENCE,
    Verdict.CREDENTIAL,
    Verdict.TIMEOUT,
    Verdict.WRONG_DIALECT,
    Verdict.NOT_READY,
    Verdict.INSECURE,
    Verdict.UNKNOWN,
    Verdict.REDIRECT,
    Verdict.UNREACHABLE,
    Verdict.NO_SUCH_ROUTE,
)

WITHOUT = {
    Part.TRANSCRIPTION: "minted without transcription; the browser turns it on after connecting",
    Part.NOISE_REDUCTION: "minted without noise reduction, which {host} refuses; nothing to do",
    Part.EXPIRY: "minted without a life time of our choice, which {host} refuses; nothing to do",
}


@dataclass(frozen=True, slots=True)
class Names:
    """Which settings a mend speaks of. ``region`` is that of the first domain."""

    region: str
    scope: str

    def of(self, row: Row, setting: str) -> str:
        """The name of a row's ``endpoint``, ``model``, ``key`` or ``key_2``, as an operator finds it."""
        if row.domain.name == self.region:
            return f"AZURE_VOICELIVE_{setting.upper()}"
        return f'"{setting}" of {row.domain.name} in AZURE_VOICELIVE_DOMAINS'

    @property
    def other_scope(self) -> str:
        return next(scope for scope in SCOPES if scope != self.scope)


def advice(finding: Finding, names: Names) -> str:
    """One line: what is wrong and what to do. Empty when there is nothing to say."""
    if finding.verdict is None:
        return _fill("; ".join(WITHOUT[part] for part in sorted(finding.left_out)), finding, names)
    known = (BETTER.get((finding.verdict, word)) for word in _known(finding))
    mend = next((text for text in known if text), MENDS[finding.verdict])
    return f"{finding.verdict}: {_fill(mend, finding, names)}"


def best(findings: Sequence[Finding]) -> Finding | None:
    """The first way that mints, in the order of the policy."""
    return next((finding for finding in findings if finding.minted), None)


def most_useful(findings: Sequence[Finding]) -> Finding:
    """Which failure to mend first: the one that came furthest in its domain, and that a person can mend."""
    by_domain: dict[str, Finding] = {}
    for finding in sorted(findings, key=_distance):
        by_domain.setdefault(finding.row.domain.name, finding)
    return min(by_domain.values(), key=lambda finding: (not _is_mendable(finding), _distance(finding)))


def _is_mendable(finding: Finding) -> bool:
    return finding.verdict in MISCONFIGURED | {Verdict.NOT_READY, Verdict.THROTTLED}


def _distance(finding: Finding) -> int:
    return FURTHEST.index(finding.verdict) if finding.verdict else -1


def _known(finding: Finding) -> tuple[str, ...]:
    said = finding.heard
    azure = (said.code, said.param) if said else ()
    row = finding.row
    return (finding.cause, *azure, row.credential.name, row.dialect.name, row.strategy.label)


def _fill(text: str, finding: Finding, names: Names) -> str:
    row, param = finding.row, finding.heard.param if finding.heard else ""
    return text.format(
        host=urlsplit(row.endpoint).netloc,
        model=row.domain.model,
        ms=finding.ms,
        status=finding.status,
        param=param or "the body",
        at_param=f" at {param}" if param else "",
        wait="a minute" if finding.retry_after_s is None else f"{finding.retry_after_s:g} s",
        endpoint_setting=names.of(row, "endpoint"),
        model_setting=names.of(row, "model"),
        key_setting=names.of(row, row.credential.name.replace(" ", "_")),
        other_scope=names.other_scope,
    )
