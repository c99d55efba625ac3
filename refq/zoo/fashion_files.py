"""Where the four files of Fashion-MNIST are, whether they are the true ones, how they get there.

Conventions
-----------
refq downloads nothing. The files are looked for in this order: ``$REFQ_DATA/fashion-mnist``, the
user's data folder, and the folder of the Debian package ``dataset-fashion-mnist``; the first folder
that holds all four is used. A file is known by the SHA-256 of its *decompressed* bytes, so that
plain and gzip copies, whoever compressed them, agree.

Notes
-----
The sums were taken from the Debian package 0.0~git20200523. Its gzip files differ from the
published ones in the header alone: with name and time of 2017-08-31 put back (10:50:06 UTC for the
two training files, 10:50:27 for the two test files), all four have the MD5 sums that the authors
publish.

References
----------
.. [1] H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
   Machine Learning Algorithms", arXiv:1708.07747.
"""

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import FormatError, RangeError
from ..encodings.container import write_atomically
from .idx import read_plain

__all__ = ["FASHION_FILES", "KnownFile", "data_folder", "find_fashion", "install_fashion"]

_DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class KnownFile:
    """A file that is known by its content.

    Parameters
    ----------
    name : str
        Its usual name, without ``.gz``.
    n_bytes : int
        Its length, decompressed.
    sha256 : str
        Of the decompressed bytes, in hexadecimal digits.

    Examples
    --------
    >>> KnownFile("a-idx1-ubyte", 3, "00").spellings()
    ['a-idx1-ubyte', 'a-idx1-ubyte.gz', 'a.idx1-ubyte', 'a.idx1-ubyte.gz']
    """

    name: str
    n_bytes: int
    sha256: str

    def spellings(self) -> list[str]:
        """Return the names under which the file is found in the wild.

        Returns
        -------
        list of str
            With ``-idx`` or ``.idx``, plain or gzip; plain first, since it loads faster.
        """
        dotted = self.name.replace("-idx", ".idx")
        return [stem + end for stem in (self.name, dotted) for end in ("", ".gz")]

    def find(self, folder: Path) -> Path | None:
        """Return the file in `folder`, under any of its spellings.

        Parameters
        ----------
        folder : Path
            Where to look; it need not exist.

        Returns
        -------
        Path or None
            None if it is not there.
        """
        return next((p for s in self.spellings() if (p := folder / s).is_file()), None)

    def read(self, path: Path) -> bytes:
        """Return the decompressed bytes, if they are the true ones.

        Parameters
        ----------
        path : Path
            A plain or gzip file.

        Returns
        -------
        bytes
            `n_bytes` of them.

        Raises
        ------
        FormatError
            If the checksum differs.
        LimitError
            If there are more bytes than there should be.
        """
        data = read_plain(path, self.n_bytes)
        got = hashlib.sha256(data).hexdigest()
        if got != self.sha256:
            raise FormatError(
                f"{path} is not the published {self.name}: the SHA-256 of its {len(data)} "
                f"decompressed bytes is {got}, not {self.sha256}; delete it and install it again"
            )
        return data


#: Which split and array -> its file.
FASHION_FILES = {
    "train_images": KnownFile(
        "train-images-idx3-ubyte",
        47_040_016,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train_labels": KnownFile(
        "train-labels-idx1-ubyte",
        60_008,
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "test_images": KnownFile(
        "t10k-images-idx3-ubyte",
        7_840_016,
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "test_labels": KnownFile(
        "t10k-labels-idx1-ubyte",
        10_008,
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}


def _user_folder() -> Path:
    """Return the folder that the platform reserves for a user's application data."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "refq"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "refq"
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "refq"


def data_folder() -> Path:
    """Return the folder that refq installs data into.

    Returns
    -------
    Path
        ``$REFQ_DATA`` if it is set; else ``%LOCALAPPDATA%`` on Windows, ``~/Library/Application
        Support`` on macOS, ``$XDG_DATA_HOME`` or ``~/.local/share`` elsewhere, and ``refq`` in it.
        It need not exist.

    Examples
    --------
    >>> isinstance(data_folder(), Path)
    True
    """
    chosen = os.environ.get("REFQ_DATA")
    return Path(chosen) if chosen else _user_folder()


def _places() -> list[Path]:
    """List the folders that are searched, in order, each once."""
    ours = [data_folder() / "fashion-mnist", _user_folder() / "fashion-mnist", _DEBIAN]
    return list(dict.fromkeys(ours))


def _found_in(folder: Path) -> dict[str, Path]:
    found = {key: known.find(folder) for key, known in FASHION_FILES.items()}
    return {key: path for key, path in found.items() if path is not None}


def _missing_from(folder: Path) -> str:
    absent = [FASHION_FILES[k].name for k in FASHION_FILES.keys() - _found_in(folder).keys()]
    return f"{folder} (no {', '.join(sorted(absent))})"


def find_fashion() -> dict[str, Path]:
    """Return the paths of the four files, by the keys of `FASHION_FILES`.

    Returns
    -------
    dict of str to Path
        All from one folder. Their content is not looked at yet.

    Raises
    ------
    RangeError
        If no folder holds all four; the message says how to get them.

    Examples
    --------
    >>> find_fashion()["test_labels"].name  # doctest: +SKIP
    't10k-labels-idx1-ubyte'
    """
    for folder in _places():
        paths = _found_in(folder)
        if len(paths) == len(FASHION_FILES):
            return paths
    raise RangeError(
        "Fashion-MNIST was not found in " + ", ".join(map(_missing_from, _places())) + ". "
        "Get the four files from github.com/zalandoresearch/fashion-mnist and run "
        "`refq data fashion --from DIR`, or install the Debian package dataset-fashion-mnist"
    )


def install_fashion(source_dir: str | os.PathLike[str]) -> Path:
    """Copy the four files of Fashion-MNIST into refq's data folder.

    Parameters
    ----------
    source_dir : path_like
        The folder that holds them: plain or gzip, with ``-idx`` or ``.idx`` in their names.

    Returns
    -------
    Path
        The folder they are in now: ``fashion-mnist`` in `data_folder`.

    Raises
    ------
    RangeError
        If a file is missing in `source_dir`.
    FormatError
        If a file is not the published one.

    Notes
    -----
    All four are read and checked before the first is written. They are kept plain (55 MB), each
    written beside and then put in place, so that a crash leaves whole files only.

    Examples
    --------
    >>> install_fashion("no such folder")
    Traceback (most recent call last):
    refq.core.errors.RangeError: source_dir = no such folder (no t10k-images-idx3-ubyte,
    t10k-labels-idx1-ubyte, train-images-idx3-ubyte, train-labels-idx1-ubyte) must hold all four
    files of Fashion-MNIST, plain or .gz
    """
    source = Path(source_dir)
    paths = _found_in(source)
    if len(paths) != len(FASHION_FILES):
        raise RangeError(
            f"source_dir = {_missing_from(source)} must hold all four files of Fashion-MNIST, "
            "plain or .gz"
        )
    contents = {known.name: known.read(paths[key]) for key, known in FASHION_FILES.items()}
    target = data_folder() / "fashion-mnist"
    target.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        write_atomically(target / name, data)
    return target
