"""From scored candidates to a list: fusion, diversity, calibration, reasons."""
