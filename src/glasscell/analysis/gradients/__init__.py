"""What comes back to each step: flow, items, the ledger of a gradient."""
