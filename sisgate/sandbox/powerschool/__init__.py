"""The PowerSchool dialect: its REST resources and its PowerQueries."""
