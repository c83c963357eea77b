"""The job: images in, Parquet out, in waves that survive whatever happens to the machine."""
