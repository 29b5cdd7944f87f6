"""The one room that knows Redis: clients, key names, scripts, URLs, and what its errors mean."""
