"""One HTTP request to a provider: sent within a deadline, read within a size, judged."""
