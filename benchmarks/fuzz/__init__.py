"""Fuzzing of all that reads files from elsewhere: `make fuzz`."""
