"""The dialects of the Student Information Systems: the requests and responses of each kind."""
