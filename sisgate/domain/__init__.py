"""Values: priorities, rates, states, resources and records. No I/O."""
