"""What differences between a few scores amount to: intervals, paired tests, verdicts."""
