"""Methods that land on codebooks: k-means and product quantization."""

from .initialization import kmeans_plus_plus, starting_centers
from .kmeans import KMeansQuantizer, lloyd
from .product import ProductQuantizer
from .tables import sum_of_entries

__all__ = [
    "KMeansQuantizer",
    "ProductQuantizer",
    "kmeans_plus_plus",
    "lloyd",
    "starting_centers",
    "sum_of_entries",
]
