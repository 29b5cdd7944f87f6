"""Flower for this fleet: behind a login, remembering, and with nothing shown that is not an id."""
