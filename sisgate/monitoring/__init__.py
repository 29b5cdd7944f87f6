"""How the fleet stands, in numbers, and those numbers as OpenMetrics text."""
