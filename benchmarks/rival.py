"""The combined plan beside its rival, on training images that neither of them saw.

597 test images cannot tell two networks apart that differ in one answer. Here 300 of the 1,200
training images are held out, and each is asked about in nine places: shifted by at most one pixel
either way. Both networks learn from a float network that was trained on the other 900.

Run ``python benchmarks/rival.py [SEEDS]``; a seed takes about a minute and a half on one core.
"""

import sys
from dataclasses import replace

import numpy as np

from refq import nn, passes, training, zoo
from refq.encodings import Cast
from refq.report.machine import one_blas_thread
from refq.zoo.train import LEARNING_RATE, RECIPES


def split(data, n=900, seed=5):
    order = np.random.default_rng(seed).permutation(len(data.train.y))
    kept, held = (
        replace(data.train, X=data.train.X[i], y=data.train.y[i]) for i in (order[:n], order[n:])
    )
    return replace(data, train=kept), held


def nine_places(part):
    moves = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return np.concatenate([training.shifted(part.X, *m) for m in moves]), np.tile(part.y, 9)


def trained(name, X, y, loss, epochs, decay, augment, seed):
    model, _ = training.fit(
        zoo.architecture(name).initialize(seed),
        X,
        y,
        loss=loss,
        epochs=epochs,
        optimizer=training.Adam(LEARNING_RATE, weight_decay=decay),
        schedule=training.Cosine(warmup=0.1),
        augment=augment,
        random_state=seed,
    )
    return passes.fold_batchnorm(model)


def main(n_seeds=2):
    data, held = split(zoo.load_data("digits"))
    X, y = nine_places(held)
    epochs, _, lessons = RECIPES["digits"]
    print(f"numpy {np.__version__}; {len(y)} shifted held-out training images, accuracy in %")
    print("seed   float   combined   bytes   dense small   bytes")
    for seed in range(n_seeds):
        shift = training.shift_images(1)
        part = data.train
        big = trained("digits", part.X, part.y, "cross_entropy", epochs, 1e-2, shift, seed)
        taught = zoo.lesson(big, part.X)
        small = trained(
            "digits_small", taught.X, taught.logits, "squared_error", lessons, 0.0, None, seed
        )
        rival = passes.compress(small, {"*.*": Cast("float16")})
        combined = zoo.PLANS["combined"].build(big, data, seed)
        scores = [100 * nn.accuracy(m.predict(X), y) for m in (big, combined, rival)]
        sizes = [len(nn.to_bytes(m)) for m in (combined, rival)]
        print(
            f"{seed:4d} {scores[0]:7.2f} {scores[1]:10.2f} {sizes[0]:7,d} "
            f"{scores[2]:13.2f} {sizes[1]:7,d}"
        )


if __name__ == "__main__":
    with one_blas_thread():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
