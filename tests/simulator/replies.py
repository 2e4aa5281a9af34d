"""What the simulated model says. Short, so that a reply lasts at most about four seconds."""

from __future__ import annotations

import re

MEMORY = re.compile(r"<memory>\s*(.*?)\s*</memory>", re.DOTALL)
NAME = re.compile(r"\b[Yy]ou are ([A-Z][a-z]+)\b")
BULLET = re.compile(r"^\s*([-*•]|\d+[.)])?\s*")
LONGEST = 14  # words

ANSWERS = {  # what to listen for -> what to say; {name} is the agent's
    r"\b(your name|who are you)\b": "My name is {name}.",
    r"\bhelp\b": "I can repeat what you say, and tell you what I remember.",
    r"\b(goodbye|good bye|bye)\b": "Goodbye. It was nice to talk with you.",
}
REMEMBERING = re.compile(r"\b(remember|remembered|know about me)\b")


def greeting(instructions: str) -> str:
    """The first words of a call in which the user has said nothing yet."""
    return f"Hello, I am {agent_name(instructions)}. How can I help you?"


def reply_to(heard: str, instructions: str) -> str:
    """The answer to the user's last turn."""
    if REMEMBERING.search(heard.lower()):
        return recollection(instructions)
    for pattern, answer in ANSWERS.items():
        if re.search(pattern, heard.lower()):
            return answer.format(name=agent_name(instructions))
    return f"You said: {shortened(heard)}."


def recollection(instructions: str) -> str:
    """One fact out of the fenced block of the instructions, word for word."""
    block = MEMORY.search(instructions)
    facts = [BULLET.sub("", line) for line in block[1].splitlines()] if block else []
    fact = next((fact for fact in facts if fact), None)
    return f"I remember: {shortened(fact)}." if fact else "I do not remember anything yet."


def agent_name(instructions: str) -> str:
    found = NAME.search(instructions)
    return found[1] if found else "your assistant"


def shortened(text: str) -> str:
    words = text.split()
    return " ".join(words[:LONGEST]).rstrip(" .!?,;:")
