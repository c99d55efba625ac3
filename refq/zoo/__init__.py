"""Data sets with fixed splits, and the readers of their files."""

from .datasets import SPLIT_SEED, Dataset, Split, load_digits, load_fashion, stratified_split
from .fashion_files import data_folder, find_fashion, install_fashion
from .idx import decode_idx, read_idx

__all__ = [
    "SPLIT_SEED",
    "Dataset",
    "Split",
    "data_folder",
    "decode_idx",
    "find_fashion",
    "install_fashion",
    "load_digits",
    "load_fashion",
    "read_idx",
    "stratified_split",
]
