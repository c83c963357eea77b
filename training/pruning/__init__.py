"""FPGM pruning (PP-OCR section 2.1, table 6): filters that others can stand in for are taken out."""
