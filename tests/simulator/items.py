"""The items of one conversation in their order, and the events that announce them; pure."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.simulator import refusals
from tests.simulator.events import Event

Item = dict[str, Any]

WRITABLE = {  # role -> content types that a client may write
    "user": {"input_text"},
    "system": {"input_text"},
    "assistant": {"output_text", "text"},  # never audio: history is text
}


def message(item_id: str, role: str, content: list[dict[str, Any]], *, status: str = "completed") -> Item:
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": status,
        "role": role,
        "content": content,
    }


def written_by_client(asked: object, item_id: str) -> Item:
    """The item of a ``conversation.item.create``. Raises `Refusal` for what Azure does not accept."""
    if not isinstance(asked, dict):
        raise refusals.detailed(
            400, "missing_required_parameter", "Missing required parameter: 'item'.", "item"
        )
    if asked.get("type") == "function_call_output":
        return {**deepcopy(asked), "id": item_id, "object": "realtime.item", "status": "completed"}
    content = asked.get("content")
    allowed = WRITABLE.get(str(asked.get("role")))
    if asked.get("type") != "message" or allowed is None:
        raise refusals.detailed(400, "invalid_value", "Invalid item type or role.", "item.role")
    if not isinstance(content, list) or not all(is_text(part, allowed) for part in content):
        raise refusals.detailed(400, "invalid_value", "Invalid content for this role.", "item.content")
    return message(item_id, asked["role"], deepcopy(content))


def is_text(part: object, allowed: set[str]) -> bool:
    return isinstance(part, dict) and part.get("type") in allowed and isinstance(part.get("text"), str)


def words_of(item: Item) -> str:
    """What an item says, spoken or written."""
    return " ".join(part.get("text") or part.get("transcript") or "" for part in item.get("content", ()))


class Items:
    """An ordered list of items. ``previous_item_id`` of an event is the neighbour above at that moment."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    def last_id(self) -> str | None:
        return self._items[-1]["id"] if self._items else None

    def last_of(self, role: str) -> Item | None:
        return next((item for item in reversed(self._items) if item.get("role") == role), None)

    def find(self, item_id: object) -> Item | None:
        return next((item for item in self._items if item["id"] == item_id), None)

    def append(self, item: Item) -> list[Event]:
        """Put it last. ``added`` and ``created`` announce the same item: Azure's filter lets both pass."""
        return self.insert(item, after=self.last_id())

    def insert(self, item: Item, *, after: str | None) -> list[Event]:
        """Put it after another item (None: first). Raises `Refusal` when there is no such item."""
        position = 0 if after is None else self._position(after) + 1
        self._items.insert(position, item)
        announced = {"previous_item_id": after, "item": deepcopy(item)}
        return [{"type": f"conversation.item.{verb}", **deepcopy(announced)} for verb in ("added", "created")]

    def done(self, item: Item) -> Event:
        """The item is complete. One that the client deleted meanwhile has no neighbour."""
        position = self._items.index(item) if item in self._items else 0
        previous = self._items[position - 1]["id"] if position else None
        return {"type": "conversation.item.done", "previous_item_id": previous, "item": deepcopy(item)}

    def delete(self, item_id: str) -> Event:
        del self._items[self._position(item_id)]
        return {"type": "conversation.item.deleted", "item_id": item_id}

    def _position(self, item_id: str) -> int:
        for position, item in enumerate(self._items):
            if item["id"] == item_id:
                return position
        message = f"Item with id '{item_id}' does not exist."
        raise refusals.detailed(400, "item_not_found", message, "previous_item_id")
