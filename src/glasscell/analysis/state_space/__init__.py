"""A layer as a map of its state: fixed points, exponents, the directions it moves in."""
