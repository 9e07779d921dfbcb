"""Which units hold a feature, and where else they are on together."""
