"""The only package that knows Redis: clients, key names, scripts, URLs, and its errors."""
