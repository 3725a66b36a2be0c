"""The phone page: what patients' phones show."""
