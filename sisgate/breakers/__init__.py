"""Circuit breakers: one for each endpoint, its state shared by the fleet."""
