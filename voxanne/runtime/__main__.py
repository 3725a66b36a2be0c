"""``python -m voxanne.runtime``: what the Makefile calls. Needs no Django settings."""

from __future__ import annotations

import argparse
import sys

from voxanne.runtime import launcher, programs, quality, services_command
from voxanne.runtime.faults import RuntimeFault

COMMANDS = {
    "run": (launcher.run, "the stack in the foreground, with one demo call"),
    "demo": (launcher.demo, "the stack for one demo call; exits 0 only if it went through"),
    "check": (quality.check, "lint, format, types, migrations, deployment and API schema"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m voxanne.runtime", description=__doc__)
    actions = parser.add_subparsers(dest="program", required=True)
    for name, (_, text) in COMMANDS.items():
        actions.add_parser(name, help=text)
    for name, program in programs.PROGRAMS.items():
        actions.add_parser(name, help=f"{program.text}; further words are passed on")
    services_command.add_arguments(actions.add_parser("services", help=services_command.HELP))
    # Not as an argument of its own: argparse takes no option there as the first word.
    chosen, words = parser.parse_known_args()
    if words and chosen.program not in programs.PROGRAMS:
        parser.error(f"unrecognized arguments: {' '.join(words)}")
    try:
        if chosen.program in COMMANDS:
            return COMMANDS[chosen.program][0]()
        if chosen.program in programs.PROGRAMS:
            return programs.run_program(chosen.program, words)
        services_command.perform(chosen.action, chosen.servers, lambda text: print(text, flush=True))
        return 0
    except RuntimeFault as fault:
        print(fault, file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
