"""The made-up people, schools and classes of a district, drawn from its seed by index."""
