"""The Delta lake: its tables, the releases and the lease on them, and the Parquet inputs."""
