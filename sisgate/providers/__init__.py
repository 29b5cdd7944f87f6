"""The dialects of the Student Information Systems: a kind is one module and one `registry` line."""
