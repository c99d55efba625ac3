"""refq."""
