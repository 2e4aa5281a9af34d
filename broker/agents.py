"""The agents one may talk with: a name, a voice, and a prompt kept as markdown beside this file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from types import MappingProxyType

# The voices of Azure OpenAI realtime. Any other name, above all that of an Azure text-to-speech voice,
# is answered with 400 invalid_value.
# Source: https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-webrtc (checked 2026-11-20).
REALTIME_VOICES = frozenset(
    ["alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"]
)


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent. ``azure_voice`` is an Azure text-to-speech voice: for Voice Live, never for realtime."""

    id: str
    name: str
    role: str
    voice: str
    azure_voice: str
    instructions: str = ""

    def public(self) -> dict[str, str]:
        """What anyone may know; the prompt stays here."""
        return {
            "id": self.id,
            "name": self.name,
            "role": self.role,
            "voice": self.voice,
            "azure_voice": self.azure_voice,
        }


DEFAULT_AGENT = "elena"
AGENTS = (
    AgentSpec("elena", "Elena", "Business analyst", "marin", "en-US-Ava:DragonHDLatestNeural"),
    AgentSpec("marcus", "Marcus", "Project manager", "cedar", "en-US-GuyNeural"),
    AgentSpec("sage", "Sage", "Storyteller", "sage", "en-US-Ava:DragonHDLatestNeural"),
)


def load_agents(voice: str | None = None) -> Mapping[str, AgentSpec]:
    """Every agent with its prompt, by id. ``voice`` gives the default agent another realtime voice."""
    folder = resources.files("broker") / "instructions"
    agents = {
        agent.id: replace(agent, instructions=(folder / f"{agent.id}.md").read_text(encoding="utf-8"))
        for agent in AGENTS
    }
    if voice is not None:
        agents[DEFAULT_AGENT] = with_voice(agents[DEFAULT_AGENT], voice)
    return MappingProxyType(agents)


def with_voice(agent: AgentSpec, voice: str) -> AgentSpec:
    """The agent with another voice: spoken when realtime knows it, else only kept as its Azure voice."""
    return replace(agent, voice=voice) if voice in REALTIME_VOICES else replace(agent, azure_voice=voice)
