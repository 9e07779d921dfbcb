"""What gates, cells and predictions do, step by step."""
