"""Speed, reading quality, size and memory, side by side with other engines: `make bench`."""
