"""Small trained models, the data they were trained on, and the standard plans."""

from .architectures import ARCHITECTURES, architecture
from .datasets import SPLIT_SEED, Dataset, Split, load_digits, load_fashion, stratified_split
from .distilling import Lesson, distill, lesson
from .fashion_files import data_folder, find_fashion, install_fashion
from .idx import decode_idx, read_idx
from .images import IMAGES, cut_patches, load_image
from .plans import PLANS, StandardPlan
from .trained import MODELS, load, load_data, load_rival, load_trained, metadata

__all__ = [
    "ARCHITECTURES",
    "IMAGES",
    "MODELS",
    "PLANS",
    "SPLIT_SEED",
    "Dataset",
    "Lesson",
    "Split",
    "StandardPlan",
    "architecture",
    "cut_patches",
    "data_folder",
    "decode_idx",
    "distill",
    "find_fashion",
    "install_fashion",
    "lesson",
    "load",
    "load_data",
    "load_digits",
    "load_fashion",
    "load_image",
    "load_rival",
    "load_trained",
    "metadata",
    "read_idx",
    "stratified_split",
]
