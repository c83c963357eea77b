"""The paper's ablations rerun: `tables` says what it did and found, `runs` does it again at any size."""
