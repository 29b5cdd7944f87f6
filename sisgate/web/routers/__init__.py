"""The routes, by subject. Each calls one method of the gateway and shows the result."""
