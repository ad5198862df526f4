"""Where data comes from: the demo world and importers of public layouts."""
