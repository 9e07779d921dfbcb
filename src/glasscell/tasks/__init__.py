"""What people train: one package a task."""
