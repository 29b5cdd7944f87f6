"""The ledger: the SQL tables that hold the truth about what was accepted and what happened."""
