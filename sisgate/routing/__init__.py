"""Which endpoint of a provider takes a call, and the endpoints' track records."""
