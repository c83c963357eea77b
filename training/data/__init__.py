"""Training data: label files, crops, packed shards and what checks them."""
