"""Texts, strategies, laws and mutants: what an implementation is judged by."""
