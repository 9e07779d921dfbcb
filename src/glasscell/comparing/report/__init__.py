"""How a comparison is told: its progress, its sentences, its page."""
