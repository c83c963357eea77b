"""The job: images in, Parquet out, in waves that survive whatever happens to the machine."""

import sys

if sys.argv[:1] == ["-m"]:  # Python looks for `pipeline`, and would in the working folder
    import ppocr_beam as ppocr_beam
