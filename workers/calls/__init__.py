"""One call from its claim to what is written of it; `execute.make_call` is the whole way."""
