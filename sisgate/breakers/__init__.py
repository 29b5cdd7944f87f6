"""Circuit breakers: one per endpoint, with state shared by the fleet."""
