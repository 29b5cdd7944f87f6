"""Which endpoint of a provider takes a call."""
