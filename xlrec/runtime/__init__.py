"""What a process runs on: the machine, the Spark session, files for the workers, progress."""
