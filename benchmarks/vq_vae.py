"""VQ-VAE against k-means and product quantization on digits and patches, at the same bits for each.

Run: ``python benchmarks/vq_vae.py --data digits`` or ``--data patches``. Patches are 8 x 8 grey
pixels of the photograph "china"; the right quarter of it is held out. The mean squared error is of
examples that no method saw, in pixels of 0 to 1. Codebooks and decoders are reported apart: they
are paid once.
"""

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits

from refq.training import Adam, dense_vq_vae, fit_vq_vae
from refq.vector import KMeansQuantizer, ProductQuantizer
from refq.zoo import cut_patches, load_image


def digits():
    """Return training and test images as rows."""
    X = (load_digits().data / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(X))
    return X[order[:1400]], X[order[1400:]]


def patches():
    """Return the left three quarters of a photograph's patches, and the right quarter, as rows."""
    grey = (load_image("china").mean(axis=2) / 255).astype(np.float32)
    grid = cut_patches(grey, 8, 8)
    edge = grid.shape[1] * 3 // 4
    return grid[:, :edge].reshape(-1, 64), grid[:, edge:].reshape(-1, 64)


DATA = {"digits": digits, "patches": patches}


def error(a, b):
    """Return the mean squared error."""
    return float(np.mean((a.astype(np.float64) - b) ** 2))


def rows(data, seeds, epochs):
    """Yield one line for each method, number of codes and seed."""
    train, test = DATA[data]()
    for n_positions, K in ((1, 256), (2, 256), (4, 64), (8, 16)):
        bits = n_positions * int(np.log2(K))
        for seed in range(seeds):
            start = time.perf_counter()
            model = dense_vq_vae(64, n_positions, 8, K, hidden=(128,), random_state=seed)
            model, history = fit_vq_vae(
                model,
                train,
                epochs=epochs,
                optimizer=Adam(2e-3),
                decay=0.95,
                dead_below=0.05,
                random_state=seed,
            )
            e = model.encode(test)
            side = e.codebook.stored_bits + model.decoder_bits
            yield (
                "VQ-VAE",
                bits,
                error(test, model.decode(e)),
                error(train, model.decode(model.encode(train))),
                side,
                history.perplexities[-1],
                time.perf_counter() - start,
            )
            start = time.perf_counter()
            q = (
                KMeansQuantizer(K, 64, random_state=seed)
                if n_positions == 1
                else ProductQuantizer(n_positions, K, random_state=seed)
            ).fit(train)
            e = q.encode(test)
            codes = np.bincount(q.encode_codes(train)[:, 0], minlength=K) / len(train)
            used = 2.0 ** -np.sum(codes[codes > 0] * np.log2(codes[codes > 0]))
            yield (
                "k-means" if n_positions == 1 else "PQ",
                bits,
                error(test, e.decode()),
                error(train, q.encode(train).decode()),
                e.codebook.stored_bits,
                used,
                time.perf_counter() - start,
            )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=sorted(DATA), default="digits")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=100)
    given = parser.parse_args()
    train, test = DATA[given.data]()
    worst = error(test, train.mean(axis=0))
    print(f"{len(train)} for training, {len(test)} held out; error of the mean {worst:.5f}")
    print("method    bits/each  test error  train error  side bits  codewords used  seconds")
    for name, bits, test, train, side, used, seconds in rows(given.data, given.seeds, given.epochs):
        print(
            f"{name:9} {bits:10d}  {test:10.5f}  {train:11.5f}  {side:9d}  {used:14.1f}  "
            f"{seconds:7.1f}"
        )


if __name__ == "__main__":
    main()
