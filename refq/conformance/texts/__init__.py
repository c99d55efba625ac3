"""Specifications as exact arithmetic: Fractions and Python integers, the standard library only."""
