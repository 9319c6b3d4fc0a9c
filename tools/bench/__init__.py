"""What `./dev bench` measures, and how."""
