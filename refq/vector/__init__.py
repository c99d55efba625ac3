"""Methods that land on codebooks: k-means and product quantization."""

from .bounds import BoundedSearch
from .centroids import lloyd, mini_batches
from .initialization import kmeans_plus_plus, starting_centers
from .kmeans import KMeansQuantizer
from .product import ProductQuantizer
from .tables import nearest_coded, sum_of_entries

__all__ = [
    "BoundedSearch",
    "KMeansQuantizer",
    "ProductQuantizer",
    "kmeans_plus_plus",
    "lloyd",
    "mini_batches",
    "nearest_coded",
    "starting_centers",
    "sum_of_entries",
]
