"""Admission: permits for calls, granted for the whole fleet by one limiter per provider."""
