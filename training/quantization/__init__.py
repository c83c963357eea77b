"""PACT quantisation (PP-OCR section 2.2, tables 8 and 13): 8 bits throughout, with ranges that are learnt."""
