"""Which processes of the fleet are alive, and what blocks jobs."""
