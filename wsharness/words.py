"""What a source looks for in a message and in a handshake, as far as it was read."""

import struct
from dataclasses import dataclass, field
from typing import Any

WHOLE = ""
"""In place of a key: the whole message, or its first word."""
ASGI_TYPES = ("websocket", "lifespan", "http")
"""What the types of ASGI events begin with: apps that read events themselves compare with them."""
LONGEST = 1024  # bytes of a layout


@dataclass(slots=True)
class Words:
    """What the source looks for in a message."""

    keys: dict[str, set[str]] = field(default_factory=dict)
    """Key → the JSON types its value is used as, where that shows."""
    values: dict[str, list[Any]] = field(default_factory=dict)
    """Key → what its value is compared with or looked up in."""
    texts: list[str | bytes] = field(default_factory=list)
    """What whole messages are compared with, or begin with."""
    models: list[Any] = field(default_factory=list)
    """An example of each annotated class, and of each pattern of an object or an array."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    """The value that chooses a function, with what the function takes."""
    inside: dict[str, set[str]] = field(default_factory=dict)
    """Key → the keys that are looked for in its value."""
    layouts: list[str] = field(default_factory=list)
    """The formats of `struct` in which binary messages are read."""
    numbers: list[int | float] = field(default_factory=list)
    """Constants that may say what a binary message is."""
    packings: set[str] = field(default_factory=set)
    """The binary forms of JSON that are spoken, by module."""
    binary: bool = False
    """Bytes are read."""
    arrays: bool = False
    """The first item of a JSON array is looked at."""
    asked: dict[str, dict[str, None]] = field(default_factory=dict)
    """What is looked for in a handshake: query, headers or cookies → names."""
    subprotocols: list[str] = field(default_factory=list)

    def add_key(self, key: str, kind: str | None = None) -> None:
        """The source looks for a key, and uses its value as a JSON type."""
        if key == WHOLE or any(map(str.isspace, key)):
            return  # a sentence: what is said of a message, not what stands in it
        if kind is None or not any(key in names for names in self.asked.values()):
            self.keys.setdefault(key, set()).update([kind] if kind else [])

    def add_value(self, key: str | None, value: Any) -> None:
        """The source compares a key's value, or it is not known whose, with a constant."""
        if isinstance(value, str) and value.startswith(ASGI_TYPES):
            return
        if key is None or key == WHOLE:
            found: list[Any] = self.texts if isinstance(value, (str, bytes)) else self.numbers
            if value not in found:
                found.append(value)
        elif value not in (known := self.values.setdefault(key, [])):
            known.append(value)

    def add_layout(self, layout: object) -> None:
        """The source reads or writes bytes in a format of `struct`."""
        try:
            size = struct.calcsize(layout) if isinstance(layout, (str, bytes)) else 0
        except struct.error:
            return
        text = layout.decode() if isinstance(layout, bytes) else str(layout)
        if 0 < size <= LONGEST and text not in self.layouts:
            self.layouts.append(text)
