"""Which processes of the fleet are alive, and what keeps jobs from going on."""
