"""Alerts: which rules hold, what becomes of an alert, and whom it is told to."""
