"""What else can be wrong besides a row: deployment, transcription, voices, scope, keys, clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from broker.agents import DEFAULT_AGENT, REALTIME_VOICES, AgentSpec
from broker.minting.domains import Domain
from broker.minting.outcomes import Part, Verdict
from broker.probing.advice import ROLES, Names
from broker.probing.asking import Finding
from broker.settings import Settings

MOST_SKEW_S = 30.0
WITHOUT_DEPLOYMENT = frozenset(["whisper-1"])  # transcribes on Azure though nobody deployed it
NOT_REALTIME = frozenset(["OpperationNotSupported", "OperationNotSupported"])
# A row with one of these, for this cause, came as far as the deployment.
DEPLOYED = frozenset([(Verdict.THROTTLED, ""), (Verdict.BAD_ANSWER, ""), (Verdict.TIMEOUT, "late")])


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at, and what was found. ``domain`` is None when it is about all of them."""

    name: str
    level: Level
    text: str
    domain: str | None = None


def checks(
    settings: Settings,
    names: Names,
    findings: Sequence[Finding],
    agents: Mapping[str, AgentSpec],
    *,
    scope_refused: bool,
) -> list[Check]:
    """Everything that is looked at, in the order in which it is shown."""
    return [
        *_per_domain(findings, lambda found: deployment(found, names)),
        *_per_domain(findings, lambda found: transcription(found, settings.transcription_model)),
        voices(agents, settings.azure_voicelive_voice),
        clock(findings),
        *identity(settings, names, findings, scope_refused=scope_refused),
    ]


def _per_domain(findings: Sequence[Finding], check: Callable[[Sequence[Finding]], Check]) -> Iterator[Check]:
    for name in dict.fromkeys(finding.row.domain.name for finding in findings):
        yield check([finding for finding in findings if finding.row.domain.name == name])


def deployment(findings: Sequence[Finding], names: Names) -> Check:
    """Whether the deployment's name exists in one domain. Azure says so only to who may ask."""
    row = findings[0].row
    domain, setting = row.domain, names.of(row, "model")
    if any(_came_to_the_deployment(finding) for finding in findings):
        return _of(domain, "deployment", Level.OK, f"{domain.model} exists")
    if any(finding.verdict is Verdict.NO_SUCH_DEPLOYMENT for finding in findings):
        text = f"{domain.model} does not exist; create it, or set {setting} (case-sensitive)"
        return _of(domain, "deployment", Level.FAULT, text)
    if any(finding.heard and finding.heard.code in NOT_REALTIME for finding in findings):
        text = f"{domain.model} is no realtime model; set {setting} to one"
        return _of(domain, "deployment", Level.FAULT, text)
    return _of(domain, "deployment", Level.UNKNOWN, f"{domain.model}: no row came that far")


def _came_to_the_deployment(finding: Finding) -> bool:
    return finding.minted or (finding.verdict, finding.cause) in DEPLOYED


def transcription(findings: Sequence[Finding], model: str | None) -> Check:
    """Whether one domain takes the transcription in the mint, and what becomes of it otherwise."""
    domain, name = findings[0].row.domain, "transcription"
    minted = [finding for finding in findings if finding.minted]
    if model is None:
        text = "off: nothing that people say is written down; set TRANSCRIPTION_MODEL"
        return _of(domain, name, Level.WARNING, text)
    if not minted:
        return _of(domain, name, Level.UNKNOWN, f"{model}: no row came that far")
    if all(Part.TRANSCRIPTION in finding.left_out for finding in minted):
        text = f"{model} is refused; minted without it, the browser turns it on after connecting"
        return _of(domain, name, Level.WARNING, text)
    if model not in WITHOUT_DEPLOYMENT:
        text = f"{model} is taken; it needs a deployment of that name, which no mint checks"
        return _of(domain, name, Level.WARNING, text)
    return _of(domain, name, Level.OK, f"{model} is taken")


def voices(agents: Mapping[str, AgentSpec], asked: str | None) -> Check:
    """Whether every agent has a voice that realtime can speak, and the one asked for is among them."""
    wrong = [f"{agent.id} ({agent.voice})" for agent in agents.values() if agent.voice not in REALTIME_VOICES]
    if wrong:
        text = f"no realtime voice: {', '.join(wrong)}; one of {', '.join(sorted(REALTIME_VOICES))}"
        return Check("voices", Level.FAULT, text)
    if asked is not None and asked not in REALTIME_VOICES:
        spoken = agents[DEFAULT_AGENT].voice
        text = f"AZURE_VOICELIVE_VOICE is no realtime voice; {DEFAULT_AGENT} speaks with {spoken} instead"
        return Check("voices", Level.WARNING, text)
    return Check("voices", Level.OK, ", ".join(f"{agent.id} {agent.voice}" for agent in agents.values()))


def clock(findings: Sequence[Finding]) -> Check:
    """Whether this machine's clock agrees with Azure's ``Date``, by the answer that says it best."""
    skews = [found.heard.skew_s for found in findings if found.heard and found.heard.skew_s is not None]
    if not skews:
        return Check("clock", Level.UNKNOWN, "nobody answered with a date")
    skew_s = min(skews, key=abs)
    text = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} Azure"
    if abs(skew_s) > MOST_SKEW_S:
        return Check("clock", Level.WARNING, f"this machine is {text}; start its time synchronisation (NTP)")
    return Check("clock", Level.OK, f"within {max(1.0, abs(skew_s)):.0f} s of Azure's")


def identity(
    settings: Settings, names: Names, findings: Sequence[Finding], *, scope_refused: bool
) -> Iterator[Check]:
    """Hints about scope and role, and about keys that stand in for an identity."""
    if settings.azure_voicelive_identity == "off":
        return
    if scope_refused:
        text = f"Azure refuses {names.scope}; set AZURE_VOICELIVE_SCOPE={names.other_scope}"
        yield Check("scope", Level.WARNING, text)
    found = [finding for finding in findings if finding.row.credential.name == "identity"]
    if any(finding.minted for finding in found):
        yield Check("role", Level.OK, "the identity may mint")
    elif any(finding.verdict is Verdict.CREDENTIAL for finding in found):
        yield Check("role", Level.FAULT, f"the identity may not mint; it needs {ROLES}")


def _of(domain: Domain, name: str, level: Level, text: str) -> Check:
    return Check(name, level, text, domain.name)
