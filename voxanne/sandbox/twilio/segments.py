"""How many segments a text takes: GSM-7 160/153, UCS-2 70/67 (3GPP TS 23.038 and 23.040)."""

from __future__ import annotations

GSM7_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENDED = frozenset("^{}\\[~]|€\f")


def segment_count(body: str) -> int:
    """Segments of ``body`` as it will be sent; 1 for an empty one."""
    if all(character in GSM7_BASIC or character in GSM7_EXTENDED for character in body):
        length = sum(2 if character in GSM7_EXTENDED else 1 for character in body)
        return 1 if length <= 160 else -(-length // 153)
    length = len(body.encode("utf-16-le")) // 2
    return 1 if length <= 70 else -(-length // 67)
