"""The dialects of the Student Information Systems. A new kind is one module and one line in `registry`."""
