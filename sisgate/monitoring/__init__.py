"""What happened in numbers: counting calls, the metrics, and these as OpenMetrics text."""
