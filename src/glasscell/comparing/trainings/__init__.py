"""One training of one cell, as a process does it: by a clock, from a seed, measured, tuned."""
