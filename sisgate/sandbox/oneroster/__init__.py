"""The OneRoster 1.1 and 1.2 dialects: Infinite Campus, Skyward and the generic kind."""
