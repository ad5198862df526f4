"""Report of a run or transfer: one self-contained HTML page, and lists and figures on the terminal."""
