"""Cast float32 numbers by ml_dtypes' astype; the codes are the bytes of the result."""

import ml_dtypes
import numpy as np
from exchange import answer


def cast(x, name):
    with np.errstate(all="ignore"):
        return {"codes": x.astype(getattr(ml_dtypes, str(name))).view(np.uint8)}


answer(cast)
