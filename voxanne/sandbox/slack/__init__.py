"""Slack's chat.postMessage."""
