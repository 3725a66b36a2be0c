"""Vapi's REST API and live call control."""
