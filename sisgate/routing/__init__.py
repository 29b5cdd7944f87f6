"""Which endpoint of a provider takes a call, and what endpoints have shown of themselves."""
