"""The dialects of the Student Information Systems: how each kind is asked, and what it answers."""
