"""How a provider, a dataset, a job or the fleet stands, and who is at fault. Pure."""
