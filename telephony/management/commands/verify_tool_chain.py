from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from telephony.asked_for import add_org_option, clinics_asked_for
from telephony.tool_chain.told import tell_findings
from telephony.tool_chain.verification import tool_chains


class Command(BaseCommand):
    help = (
        "Checks each clinic's tool chain: our address, assistants, registered tools, their ids and server "
        "addresses at Vapi, links. PASS, WARN or FAIL each, with what to do; exits 1 on a FAIL."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_org_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        clinics = clinics_asked_for(options["org"])
        chains = tool_chains(clinics)
        tell_findings(self, [(chain.slug or "platform", chain.findings) for chain in chains])
