"""How fastText turns a line of text into rows of its input matrix.

Conventions
-----------
Words are split at ASCII white space; the end of the line is a word of its own, ``</s>``. A word's
character n-grams are those of ``<word>``, cut between UTF-8 characters, and hashed into buckets by
FNV-1a on bytes taken as signed. Runs of words are hashed likewise. Tier T1.

References
----------
.. [1] P. Bojanowski et al., "Enriching Word Vectors with Subword Information", 2016,
   arXiv:1607.04606.
"""

import re

from .fasttext_file import FastTextFile

__all__ = ["fnv1a", "rows_of_line"]

END = "</s>"
LABEL_PREFIX = "__label__"
_WHITE = re.compile("[ \n\r\t\v\f\0]+")


def fnv1a(data: bytes) -> int:
    """Return fastText's 32-bit hash: FNV-1a, each byte sign-extended to 32 bits first.

    Parameters
    ----------
    data : bytes
        UTF-8.

    Returns
    -------
    int
        Below 2^32.

    Examples
    --------
    >>> fnv1a(b""), fnv1a(b"a")
    (2166136261, 3826002220)
    """
    h = 2166136261
    for byte in data:
        h = ((h ^ (byte | 0xFFFFFF00 if byte > 127 else byte)) * 16777619) & 0xFFFFFFFF
    return h


def _character_ngrams(word: str, least: int, most: int) -> list[str]:
    """Return the n-grams of a word with its marks; the marks alone are none."""
    found = []
    for i in range(len(word)):
        for n in range(max(least, 1), min(most, len(word) - i) + 1):
            if not (n == 1 and (i == 0 or i + n == len(word))):
                found.append(word[i : i + n])
    return found


def rows_of_line(model: FastTextFile, index: dict[str, int], line: str) -> list[int]:
    """Return the rows of the input matrix that a line of text adds up.

    Parameters
    ----------
    model : FastTextFile
        Settings and kept buckets.
    index : dict of str to int
        Row of each word; labels are absent.
    line : str
        One line.

    Returns
    -------
    list of int
        Repeated rows count as often as they stand there.
    """
    s, kept, n_words = model.settings, model.kept_buckets, len(model.words)

    def bucket_row(bucket: int) -> list[int]:
        if kept is None:
            return [n_words + bucket]
        return [n_words + kept[bucket]] if bucket in kept else []

    rows: list[int] = []
    hashes: list[int] = []
    for token in [*filter(None, _WHITE.split(line)), END]:
        if token not in index and token.startswith(LABEL_PREFIX):
            continue
        if token in index:
            rows.append(index[token])
        if token != END and s.max_n > 0 and s.buckets:
            for ngram in _character_ngrams(f"<{token}>", s.min_n, s.max_n):
                rows += bucket_row(fnv1a(ngram.encode("utf-8")) % s.buckets)
        hashes.append(fnv1a(token.encode("utf-8")))
        if token == END:
            break
    for i in range(len(hashes)) if s.buckets else ():
        h = _signed(hashes[i])
        for j in range(i + 1, min(len(hashes), i + s.word_ngrams)):
            h = (h * 116049371 + _signed(hashes[j])) & 0xFFFFFFFFFFFFFFFF
            rows += bucket_row(h % s.buckets)
    return rows


def _signed(h: int) -> int:
    """Return a 32-bit hash as fastText keeps it: as int32, widened to 64 bits."""
    return (h - (1 << 32) if h >> 31 else h) & 0xFFFFFFFFFFFFFFFF
