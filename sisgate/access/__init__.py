"""Who may do what: roles, scopes, tokens, and the check that every way in shares."""
