"""VQ-VAE: an autoencoder whose latents are codewords.

Problem
-------
K-means codes pixels. An encoder network may find coordinates in which few codewords say more, and a
decoder network what they mean; but the nearest codeword has no gradient.

Equation
--------
With latents ``z = encoder(x)`` cut into vectors, ``e`` each one's nearest codeword, and sg(.) what
counts as a constant, the loss is [1]_ (equation 3)

``|decoder(e) - x|^2 + |sg(z) - e|^2 + beta |z - sg(e)|^2``:

reconstruction, codebook loss, commitment loss. Straight-through, the gradient of the reconstruction
by e is taken as that by z; the codewords get none of it.

Conventions
-----------
Each of the three is a mean over elements, so that beta does not depend on sizes. A latent of
``n_positions * codeword_size`` numbers is cut in order; one codebook serves all positions. Models
and codebook are float32 or float64; the arithmetic is that of the data's dtype and of the models.

References
----------
.. [1] A. van den Oord, O. Vinyals, K. Kavukcuoglu, "Neural Discrete Representation Learning",
   arXiv:1711.00937, section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_float_array, check_integer, check_random_state, check_real
from ..core.errors import ShapeError
from ..encodings import Cast, CodebookEncoding, Encoding, Method, from_codes, stored
from ..nn import Linear, Model, ReLU, Sequential
from ..nn.layer import Layer
from ..numerics import nearest_codeword
from .losses import squared_error

__all__ = ["VQVAE", "VQLosses", "dense_vq_vae", "vq_losses"]

Array = NDArray[Any]

_DEFAULT_CAST = Cast("float16")


@dataclass(frozen=True, eq=False)
class VQVAE:
    """An encoder, a decoder, and the codewords between them.

    Parameters
    ----------
    encoder : Model
        To latents of one axis, a multiple of the codewords' size.
    decoder : Model
        From such latents to the shape of the encoder's input.
    codebook : ndarray of float, shape (n_codewords, codeword_size)
        The codewords.

    Raises
    ------
    ShapeError
        If the three do not fit each other.

    Examples
    --------
    >>> model = dense_vq_vae(4, n_positions=2, codeword_size=3, n_codewords=8, random_state=0)
    >>> codes = model.encode_codes(np.ones((5, 4), np.float32))
    >>> codes.shape, model.decode_codes(codes).shape
    ((5, 2), (5, 4))
    """

    encoder: Model
    decoder: Model
    codebook: Array

    def __post_init__(self) -> None:
        book = check_float_array(self.codebook, "codebook")
        object.__setattr__(self, "codebook", book)
        last = self.encoder.shapes()[self.encoder.nodes[-1].name]
        if book.ndim != 2 or not book.size or len(last) != 1 or last[0] % book.shape[1]:
            raise ShapeError(f"latents of shape {last} are no codewords of shape {book.shape}")
        back = self.decoder.shapes()[self.decoder.nodes[-1].name]
        if self.decoder.input_shape != last or back != self.encoder.input_shape:
            raise ShapeError(
                f"the decoder maps {self.decoder.input_shape} to {back}; it must map {last} to "
                f"{self.encoder.input_shape}"
            )

    def latents(self, X: ArrayLike) -> Array:
        """Return the encoder's output, cut into vectors.

        Parameters
        ----------
        X : array_like, shape ``(n, *input_shape)``
            Data.

        Returns
        -------
        ndarray, shape (n * n_positions, codeword_size)
            Not quantized.
        """
        return self.encoder.predict(X).reshape(-1, self.codebook.shape[1])

    def encode_codes(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return the codes of data.

        Parameters
        ----------
        X : array_like, shape ``(n, *input_shape)``
            Data.

        Returns
        -------
        ndarray of int64, shape (n, n_positions)
            The nearest codeword of each vector, the lowest index on a tie; exact for the latents.
        """
        codes = nearest_codeword(self.latents(X), self.codebook)
        return codes.reshape(-1, self._n_positions)

    @property
    def _n_positions(self) -> int:
        return self.decoder.input_shape[0] // self.codebook.shape[1]

    def decode_codes(self, codes: ArrayLike) -> Array:
        """Return what codes stand for.

        Parameters
        ----------
        codes : array_like of int, shape (n, n_positions)
            In [0, n_codewords).

        Returns
        -------
        ndarray, shape ``(n, *input_shape)``
            The decoder's output.

        Raises
        ------
        ShapeError
            If a row has another length.
        FormatError
            If a code has no codeword.
        """
        leaf = from_codes(np.asarray(codes), len(self.codebook))
        book, _ = stored(self.codebook[None], Cast(str(self.codebook.dtype)))
        if leaf.ndim != 2 or leaf.shape[1] != self._n_positions:
            raise ShapeError(f"codes has shape {leaf.shape}; it needs (n, {self._n_positions})")
        shape = (leaf.shape[0], self.decoder.input_shape[0])
        return self.decode(CodebookEncoding(leaf, book, shape))

    def encode(self, X: ArrayLike, codebook_method: Method = _DEFAULT_CAST) -> CodebookEncoding:
        """Return the encoding of data's latents: codes and codebook, every bit counted.

        Parameters
        ----------
        X : array_like, shape ``(n, *input_shape)``
            Data.
        codebook_method : Method
            How the codebook is stored; codes are found against the stored one.

        Returns
        -------
        CodebookEncoding
            Of shape (n, n_positions * codeword_size). The decoder is not in it: see `decoder_bits`.
        """
        encoding, book = stored(self.codebook[None], codebook_method)
        codes = nearest_codeword(self.latents(X), book[0]).reshape(-1, self._n_positions)
        leaf = from_codes(codes, len(self.codebook))
        return CodebookEncoding(leaf, encoding, (len(codes), self.decoder.input_shape[0]))

    def decode(self, encoding: Encoding) -> Array:
        """Return the data that an encoding of latents stands for.

        Parameters
        ----------
        encoding : Encoding
            As `encode` gives it.

        Returns
        -------
        ndarray, shape ``(n, *input_shape)``
            The decoder's output.
        """
        return self.decoder.predict(encoding.decode())

    @property
    def decoder_bits(self) -> int:
        """What a receiver needs besides the encoding: the bits of the decoder's tensors."""
        return sum(
            t.stored_bits if isinstance(t, Encoding) else prod(t.shape) * t.dtype.itemsize * 8
            for node in self.decoder.nodes
            for t in node.layer.tensors().values()
        )

    def trainable(self) -> dict[str, Array]:
        """Return the flat arrays that gradients are for.

        Returns
        -------
        dict of str to ndarray
            ``encoder.node.parameter``, ``decoder.node.parameter`` and ``codebook``.
        """
        parts = {"encoder": self.encoder, "decoder": self.decoder}
        flat = {f"{p}.{k}": a for p, model in parts.items() for k, a in model.trainable().items()}
        return {**flat, "codebook": self.codebook}

    def with_trainable(self, arrays: dict[str, Array]) -> "VQVAE":
        """Return the model with other values in some flat arrays.

        Parameters
        ----------
        arrays : dict of str to ndarray
            By the keys of `trainable`.

        Returns
        -------
        VQVAE
            Shares the rest with this one.
        """
        parts: dict[str, dict[str, Array]] = {"encoder": {}, "decoder": {}}
        book = self.codebook
        for key, array in arrays.items():
            head, _, rest = key.partition(".")
            if key == "codebook":
                book = array
            else:
                parts[head][rest] = array
        return replace(
            self,
            encoder=self.encoder.with_trainable(parts["encoder"]),
            decoder=self.decoder.with_trainable(parts["decoder"]),
            codebook=book,
        )


def dense_vq_vae(
    n_features: int,
    n_positions: int,
    codeword_size: int,
    n_codewords: int,
    hidden: Sequence[int] = (64,),
    random_state: Any = None,
) -> VQVAE:
    """Return an untrained VQ-VAE of fully connected layers.

    Parameters
    ----------
    n_features : int
        Length of one example.
    n_positions : int
        Codes for one example.
    codeword_size : int
        Numbers in a codeword.
    n_codewords : int
        *K*.
    hidden : sequence of int
        Widths of the encoder's hidden layers; the decoder has them in reverse. Empty makes both
        linear.
    random_state : int, SeedSequence, Generator or None
        For the weights, and for codewords drawn from the normal distribution.

    Returns
    -------
    VQVAE
        In float32.

    Examples
    --------
    >>> dense_vq_vae(64, 4, 8, 32).decoder
    nn.Model(input_shape=(32,), n_parameters=6272)
      fc1: nn.Linear(32, 64) <- input
      relu1: nn.ReLU() <- fc1
      fc2: nn.Linear(64, 64) <- relu1
    """
    rng = check_random_state(random_state)
    check_integer(n_codewords, "n_codewords", 1)
    width = check_integer(n_positions, "n_positions", 1) * check_integer(
        codeword_size, "codeword_size", 1
    )
    sizes = [n_features, *hidden, width]
    encoder = _chain(sizes).initialize(rng)
    decoder = _chain(sizes[::-1]).initialize(rng)
    book = rng.standard_normal((n_codewords, codeword_size)).astype(np.float32)
    return VQVAE(encoder, decoder, book)


def _chain(sizes: Sequence[int]) -> Model:
    layers: list[Layer] = []
    for a, b in pairwise(sizes):
        layers += [Linear(a, b), ReLU()]
    return Sequential(layers[:-1], (sizes[0],))


@dataclass(frozen=True, eq=False)
class VQLosses:
    """The three losses of a batch, and their gradients.

    Parameters
    ----------
    reconstruction : float
        Mean of ``(decoder(e) - x)^2``.
    codebook : float
        Mean of ``(sg(z) - e)^2``.
    commitment : float
        Mean of ``(z - sg(e))^2``, the same number: it is beta times this in the loss.
    gradients : dict of str to ndarray
        Of the whole loss, by the keys of `VQVAE.trainable`; the codebook's is that of the codebook
        loss alone.
    latents : ndarray, shape (n * n_positions, codeword_size)
        z, for an update by averages.
    codes : ndarray of int64, shape (n * n_positions,)
        Its codes.
    """

    reconstruction: float
    codebook: float
    commitment: float
    gradients: dict[str, Array]
    latents: Array
    codes: NDArray[np.int64]


def vq_losses(
    model: VQVAE,
    X: ArrayLike,
    commitment_weight: float = 0.25,
    rng: np.random.Generator | None = None,
) -> VQLosses:
    """Return the losses of a batch and their gradients, straight through the codewords.

    Parameters
    ----------
    model : VQVAE
        It is not changed.
    X : array_like, shape ``(n, *input_shape)``
        A batch, at least one example.
    commitment_weight : float
        *beta*, not negative; 0.25 in [1]_.
    rng : numpy.random.Generator or None
        For layers that draw.

    Returns
    -------
    VQLosses
        Losses, gradients, latents and codes.

    Raises
    ------
    ShapeError
        If X does not fit, or is empty.
    RangeError
        If a latent is not finite.

    Notes
    -----
    Tier T2.

    References
    ----------
    arXiv:1711.00937, equation 3 and section 3.2.

    Examples
    --------
    >>> model = dense_vq_vae(4, 2, 3, 8, random_state=0)
    >>> losses = vq_losses(model, np.ones((5, 4), np.float32))
    >>> losses.codebook == losses.commitment, losses.gradients["codebook"].shape
    (True, (8, 3))
    """
    x = check_float_array(X, "X")
    beta = check_real(commitment_weight, "commitment_weight", 0)
    output, encoder_tape = model.encoder.forward(x, training=True, rng=rng)
    z = output.reshape(-1, model.codebook.shape[1])
    codes = nearest_codeword(z, model.codebook)
    e = model.codebook[codes].astype(z.dtype)
    decoded, decoder_tape = model.decoder.forward(e.reshape(output.shape), training=True, rng=rng)
    reconstruction, by_decoded = squared_error(decoded, x)
    by_e, decoder_gradients = model.decoder.backward(by_decoded, decoder_tape)
    apart, by_z = squared_error(z, e)  # the gradient by e is minus this one
    # straight through: what the decoder asks of e is asked of z
    by_output = by_e + beta * by_z.reshape(output.shape)
    _, encoder_gradients = model.encoder.backward(by_output.astype(output.dtype), encoder_tape)
    by_book = np.zeros(model.codebook.shape)
    np.add.at(by_book, codes, -by_z.astype(np.float64))
    gradients = {
        **_named("encoder", model.encoder.gradients(encoder_gradients)),
        **_named("decoder", model.decoder.gradients(decoder_gradients)),
        "codebook": by_book.astype(model.codebook.dtype),
    }
    return VQLosses(reconstruction, apart, apart, gradients, z, codes)


def _named(part: str, arrays: dict[str, Array]) -> dict[str, Array]:
    return {f"{part}.{k}": a for k, a in arrays.items()}
