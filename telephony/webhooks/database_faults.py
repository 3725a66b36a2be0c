"""What a provider is told when the database did not do as it was asked: that it is away, or that it refuses the data.

The difference decides what the provider does: word that is sent again helps after an outage, and only then.
"""

from __future__ import annotations

import structlog
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError
from django.http import HttpResponse

from monitoring.errors import database_unavailable, error_response

logger = structlog.get_logger(__name__)

OUTAGE = (OperationalError, InterfaceError)
REFUSED_DATA = (DataError, IntegrityError)


def answer_to(error: DatabaseError) -> HttpResponse:
    """503 while the database is away, 400 for data that it cannot hold. Raises ``error`` again where neither is so:
    then our own statement is wrong."""
    if isinstance(error, OUTAGE):
        logger.warning("database_away", kind=type(error).__name__)
        return database_unavailable()
    if isinstance(error, REFUSED_DATA):
        # Views clean what they are given; what slips through is a fault to be found, not one to be sent again. The
        # error's own text may quote the value, so the kind alone is logged.
        logger.error("data_refused_by_the_database", kind=type(error).__name__)
        return error_response(400, "invalid_request", "A value is one that cannot be kept.")
    raise error
