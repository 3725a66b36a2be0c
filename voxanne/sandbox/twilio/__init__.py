"""Twilio's Messages and Calls REST API, with signed callbacks."""
