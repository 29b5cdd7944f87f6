"""The words of sisgate as values: priorities, rates, states, resources and records. No I/O."""
