"""What ./dev does once the Debian packages are there."""
