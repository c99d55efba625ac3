"""Planted mistakes, each of which a law must kill."""

from . import (
    edges,
    estimators,
    feedback,
    formats,
    gradients,
    kernels,
    layouts,
    methods,
    models,
    nouns,
    optimality,
    ranges,
    rounding,
    sizes,
)
from .registry import MUTANTS, Mutant, mutants_of, plant, plant_function, register, survives

__all__ = [
    "MUTANTS",
    "Mutant",
    "edges",
    "estimators",
    "feedback",
    "formats",
    "gradients",
    "kernels",
    "layouts",
    "methods",
    "models",
    "mutants_of",
    "nouns",
    "optimality",
    "plant",
    "plant_function",
    "ranges",
    "register",
    "rounding",
    "sizes",
    "survives",
]
