"""What is compared, one file a kind of work: each gives the cases of its tables."""
