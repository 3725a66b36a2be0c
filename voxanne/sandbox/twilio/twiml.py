"""Reading the TwiML the product answers with.

Source: https://www.twilio.com/docs/voice/twiml and https://www.twilio.com/docs/messaging/twiml
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.etree import ElementTree

CONTENT_TYPES = ("text/xml", "application/xml", "text/html")


@dataclass
class Verb:
    """One verb or noun: its name, attributes, text, and what it encloses."""

    name: str
    attributes: dict[str, str]
    text: str
    children: list[Verb] = field(default_factory=list)

    def inside(self, *names: str) -> list[Verb]:
        return [child for child in self.children if child.name in names]


class BadTwiml(ValueError):
    """The document is not TwiML (Twilio's error 12100)."""


def parse_twiml(document: str) -> list[Verb]:
    """The verbs of a ``<Response>``, in order; an empty document has none. Raises BadTwiml."""
    if not document.strip():
        return []
    try:
        root = ElementTree.fromstring(document)  # noqa: S314 - the product under test wrote it
    except ElementTree.ParseError as error:
        raise BadTwiml("Document parse failure") from error
    if root.tag != "Response":
        raise BadTwiml("The root element is not Response")
    return [_verb(element) for element in root]


def _verb(element: ElementTree.Element) -> Verb:
    return Verb(
        name=element.tag,
        attributes=dict(element.attrib),
        text=(element.text or "").strip(),
        children=[_verb(child) for child in element],
    )
