"""Processes that train at once: what they are told, what they answer, who waits for them."""
