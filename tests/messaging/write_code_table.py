"""``python -m tests.messaging.write_code_table`` writes ``docs/twilio-codes.md`` anew."""

from __future__ import annotations

import os

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxanne.settings")
    django.setup()
    from tests.messaging.code_table import DOCUMENT, document

    DOCUMENT.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
