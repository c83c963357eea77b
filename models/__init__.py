"""Reading text from pages: bundles of models and the numerics around them, with no Beam in sight."""
