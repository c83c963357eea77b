"""The job: images in, Parquet out, in waves that survive whatever happens to the machine."""

import signal
import sys

if sys.argv[:1] == ["-m"]:  # Python looks for `pipeline`, and would in the working folder
    import ppocr_beam

    ppocr_beam.quieten(signal.SIGINT, signal.SIGTERM)
