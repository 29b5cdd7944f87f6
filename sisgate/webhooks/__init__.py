"""Webhooks: from what has happened to messages, and from messages to receivers."""
