"""What numbers from a few trials say: intervals, paired differences, Student's t."""
