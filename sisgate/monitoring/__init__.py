"""The state of the fleet in numbers, and those numbers as OpenMetrics text."""
