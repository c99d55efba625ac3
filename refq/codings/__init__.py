"""How codes become bits: packing, canonical Huffman, rANS, gaps."""

from .coding import Coding
from .gaps import GapsCoding
from .huffman import HuffmanCoding
from .packing import RawCoding, pack, unpack
from .prefix_codes import canonical_codes, code_lengths, entropy, mean_length
from .rans import RansCoding
from .registry import CODINGS, get

__all__ = [
    "CODINGS",
    "Coding",
    "GapsCoding",
    "HuffmanCoding",
    "RansCoding",
    "RawCoding",
    "canonical_codes",
    "code_lengths",
    "entropy",
    "get",
    "mean_length",
    "pack",
    "unpack",
]
