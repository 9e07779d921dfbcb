"""What is kept, by which unit, and for how long."""
