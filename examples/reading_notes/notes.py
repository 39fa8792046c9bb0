"""What a note is and where it is kept; plain Python without the SDK."""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Self

INSTRUCTION = "Sum the text of the user up in at most three sentences. Answer with the sentences alone."


@dataclass(frozen=True)
class Note:
    title: str
    text: str

    def to_bytes(self) -> bytes:
        """Values in the storage are bytes; what they mean is the plugin's business."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        return cls(**json.loads(data))


def key_of(title: str) -> str:
    """Keys are like paths: slashes make folders, and `..` is refused. Titles are anything, so a note is kept under the title's hash."""
    return f"notes/{sha256(' '.join(title.casefold().split()).encode()).hexdigest()[:32]}"
