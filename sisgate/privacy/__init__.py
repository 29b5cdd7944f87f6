"""How long things are kept, and how a person is erased."""
