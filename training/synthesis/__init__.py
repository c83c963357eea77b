"""Made training data with its labels: text lines, pages with layout and turned lines (paper, section 3.1)."""
