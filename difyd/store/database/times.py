"""Points in time, in the database and on the wire (state-and-cluster 2.4, 13)."""

from datetime import UTC, datetime, tzinfo

NEVER = "0001-01-01T00:00:00Z"
"""How a row without a time is shown: the zero of the reference's language."""


def to_text(moment: datetime) -> str:
    """UTC with microseconds, always 27 characters: texts of this form sort as the moments do. How SQLite keeps times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_text(text: str) -> datetime:
    """Reads what `to_text` wrote, and any other ISO 8601 time; one without a zone is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def rfc3339(moment: datetime | str | None, zone: tzinfo) -> str:
    """
    For JSON: in `zone`, `Z` for UTC, without the trailing zeros of the fraction (http-api 3.4).

    Takes what a column of type `Shown` gives, too: lists have two times in every row, and SQLite's text is nearly what is to be shown.
    """
    if moment is None:
        return NEVER
    if isinstance(moment, str):
        if zone is UTC and len(moment) == 27 and moment[-1] == "Z":
            return moment[:-1].rstrip("0").rstrip(".") + "Z"
        moment = from_text(moment)
    elif moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    text = moment.astimezone(zone).isoformat()
    text, offset = (text[:-6], text[-6:]) if text[-6] in "+-" else (text[:-9], text[-9:-3])  # an old zone's offset may have seconds
    if "." in text:
        text = text.rstrip("0")
    return text + ("Z" if offset == "+00:00" else offset)
