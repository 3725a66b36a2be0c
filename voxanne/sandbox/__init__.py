"""A local Twilio, Vapi, Google Calendar and Slack that speak the real wire formats.

A process of its own, started with ``python -m voxanne.sandbox``. The product talks to it through its
real clients over real sockets and never imports it; it imports nothing of the product.
"""
