"""The pickles beside this file: one batch, as each Python, NumPy and protocol writes it.

Run it with the Python that is to be the writer, 2.7 included; NumPy must be there. The stored files
come from Python 2.7 with NumPy 1.16 (``pickle`` and ``cPickle``), and from Python 3.11 with NumPy
1.26 and 2.4. They all hold what :func:`batch` says.
"""

import importlib
import os
import sys

import numpy as np

SAMPLES, IMAGE_BYTES = 3, 24  # images of 2x4x3


def batch():
    """The images and the label records, as arrays of bytes."""
    places = np.arange(SAMPLES * IMAGE_BYTES).reshape(SAMPLES, IMAGE_BYTES)
    labels = [[2, 0, 200 + sample, 1, sample] for sample in range(SAMPLES)]
    return (places * 37 % 256).astype(np.uint8), np.array(labels, np.uint8)


def forms():
    """The batch in the forms that are met, by name."""
    images, labels = batch()
    return {
        "arrays": {"data": images, "labels": labels, "height": 2, "width": 4, "channels": 3},
        "lists": {"data": images.tolist(), "cifar100mh_labels": labels.tolist()},
        "rows": {"data": list(images), "labels": [tuple(row) for row in labels.astype(int)]},
        "fortran": {"data": np.asfortranarray(images), "labels": labels.astype(">i8")},
        "cifar": {
            b"batch_label": b"training batch 1 of 1",
            b"data": images,
            b"labels": labels.tolist(),
            b"filenames": [b"violin_s_00\xe9.png", b"harp_s_01.png", b"oboe'_s\\n_02.png"],
        },
    }


def main():
    """Write every form, by every pickler and protocol of this Python."""
    for module in ("pickle",) if sys.version_info >= (3,) else ("pickle", "cPickle"):
        pickler = importlib.import_module(module)
        python, numpy = ".".join(map(str, sys.version_info[:2])), np.__version__.rsplit(".", 1)[0]
        for protocol in range(pickler.HIGHEST_PROTOCOL + 1):
            for form, content in forms().items():
                name = "-".join(["python" + python, "numpy" + numpy, module, str(protocol), form])
                # Python 2.7 has no pathlib.
                path = os.path.join(os.path.dirname(__file__), name)  # noqa: PTH118, PTH120
                with open(path, "wb") as file:  # noqa: PTH123
                    pickler.dump(content, file, protocol)


if __name__ == "__main__":
    main()
