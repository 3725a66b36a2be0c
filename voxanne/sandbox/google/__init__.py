"""Google's token endpoint and Calendar v3."""
