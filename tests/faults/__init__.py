"""Fault runs: ``make faults`` (contract, section 8). Each promise is shown on a whole stack, and so is its control:
the same run with one guard taken away, in which the fault must be seen."""

from __future__ import annotations
