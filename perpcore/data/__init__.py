"""Images, k-space and motion: generated, and read from files."""
