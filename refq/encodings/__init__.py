"""The eight nouns, the methods' base classes, and the container."""

from .cast import Cast, stored, stored_scale
from .codebook import CodebookEncoding
from .concatenated import ConcatenatedEncoding
from .dense_leaf import DenseEncoding, dense, from_codes
from .encoding import NOUNS, Encoding, Leaf
from .entropy import entropy_code
from .factored import FactoredEncoding
from .generated import RULES, GeneratedEncoding, split_mix
from .masked import MaskedEncoding
from .method import METHODS, Codec, Method, check_inputs
from .scaled import ScaledEncoding
from .summed import SummedEncoding

__all__ = [
    "METHODS",
    "NOUNS",
    "RULES",
    "Cast",
    "CodebookEncoding",
    "Codec",
    "ConcatenatedEncoding",
    "DenseEncoding",
    "Encoding",
    "FactoredEncoding",
    "GeneratedEncoding",
    "Leaf",
    "MaskedEncoding",
    "Method",
    "ScaledEncoding",
    "SummedEncoding",
    "check_inputs",
    "dense",
    "entropy_code",
    "from_codes",
    "split_mix",
    "stored",
    "stored_scale",
]
