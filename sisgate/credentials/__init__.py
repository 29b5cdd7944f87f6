"""Keys of providers: sealed in the ledger, opened only where a call is made."""
