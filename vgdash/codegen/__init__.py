"""Write code and notebooks to take home."""
