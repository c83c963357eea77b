"""Digital PDFs as labelled pages: drawn as a scanner would see them, with the lines of their text layer."""
