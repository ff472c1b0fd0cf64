"""Makes pictures such as people take of drawings, from clean scans.

A `Scene` names all that may differ from a scan; `photograph` renders it. The
physics is simple: ink lets a share of the light of the paper through, light
multiplies both, then the camera blurs, adds noise and compresses.
"""

import dataclasses
import io

import numpy as np
from PIL import Image
from scipy import ndimage


@dataclasses.dataclass(frozen=True)
class Scene:
    """How one drawing is photographed.

    Args:
        height, width: Of the picture, pixels.
        side: Of the scan's frame in the picture, as a share of the smaller
            of height and width.
        offset: Where the frame lies in what is left over, `(y, x)` in
            `[0, 1]`; 0.5 is the centre.
        pen: Width of the strokes as a multiple of the scan's.
        turn: Rotation, degrees.
        tilt: Perspective: how much shorter the far edge is, as a share.
        ink, paper: RGB in `[0, 1]`: what is left of the light that falls on
            strokes, and on the paper.
        texture, fibres: Contrast of smooth spots of the paper, and of its
            fibres and flecks.
        rules: Gaps of ruled lines as a share of the smaller side; 0 is none.
        grid: Whether there are lines both ways.
        rule_ink: RGB of the lines.
        margin_line: Whether a red line runs along one side.
        table: RGB of a table on which the page lies, or None if the page fills
            the picture.
        edges: How far the page reaches from the centre of the frame up, down,
            left and right, in frames, if there is a table.
        shading: Loss of light from one side to the other, as a share.
        vignette: Loss of light in the corners.
        shadow: Loss of light behind a shadow's edge.
        penumbra: Width of that edge as a share of the picture.
        light: RGB of the light.
        blur: Of the camera, pixels (standard deviation).
        noise: Of the sensor, standard deviation.
        quality: Of JPEG; 0 is none.
        orientation: EXIF orientation, 1 to 8.
    """

    height: int = 400
    width: int = 400
    side: float = 1.0
    offset: tuple[float, float] = (0.5, 0.5)
    pen: float = 1.0
    turn: float = 0.0
    tilt: tuple[float, float] = (0.0, 0.0)
    ink: tuple[float, ...] = (0.08, 0.08, 0.08)
    paper: tuple[float, ...] = (0.97, 0.97, 0.97)
    texture: float = 0.0
    fibres: float = 0.0
    rules: float = 0.0
    grid: bool = False
    rule_ink: tuple[float, ...] = (0.65, 0.75, 0.9)
    margin_line: bool = False
    table: tuple[float, ...] | None = None
    edges: tuple[float, ...] = (0.6, 0.6, 0.6, 0.6)
    shading: float = 0.0
    vignette: float = 0.0
    shadow: float = 0.0
    penumbra: float = 0.02
    light: tuple[float, ...] = (1.0, 1.0, 1.0)
    blur: float = 0.0
    noise: float = 0.0
    quality: int = 0
    orientation: int = 1


def photograph(scan, scene, rng):
    """Renders a scan as a photograph.

    Args:
        scan: bool array `(105, 105)`, True where there is ink.
        scene: A `Scene`.
        rng: `numpy.random.Generator` of what the scene leaves open: texture,
            noise, where lines and shadows lie.

    Returns:
        A `PIL.Image.Image`, RGB; a JPEG or PNG file as a phone stores it.
    """
    where = _plane_positions(scene)
    ink = _strokes(scan, scene, where)
    page = _paper(scene, where, rng)
    if np.mean(scene.ink) > np.mean(scene.paper):
        # Chalk covers the board; ink dyes the paper.
        chalk = ink * _flecks(scene, rng, 0.25)
        page = page + chalk[..., None] * (colour(scene.ink) - page)
    else:
        page = page * (1 - ink[..., None] * (1 - colour(scene.ink)))
    page = page * _light(scene, rng)[..., None] * colour(scene.light)
    return _camera(page, scene, rng)


def colour(values):
    """A colour as float32."""
    return np.array(values, "float32")


def _plane_positions(scene):
    """Where each pixel lies on the page, after rotation and perspective.

    Returns:
        `(y, x)`, each `(height, width)`, in scan frames from the scan's centre.
    """
    least = min(scene.height, scene.width)
    side = scene.side * least
    y, x = np.mgrid[: scene.height, : scene.width].astype("float32")
    centre = [
        side / 2 + part * (size - side)
        for part, size in zip(
            scene.offset, (scene.height, scene.width), strict=True
        )
    ]
    y, x = (y + 0.5 - centre[0]) / side, (x + 0.5 - centre[1]) / side
    depth = 1 + scene.tilt[0] * y + scene.tilt[1] * x
    y, x = y / depth, x / depth
    angle = np.deg2rad(scene.turn)
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * y + sin * x, cos * x - sin * y


def _strokes(scan, scene, where):
    """Opacity of the ink `(height, width)` in `[0, 1]`."""
    # Distance from the scan's outline, positive inside, in its pixels.
    wide = np.pad(scan, 20)
    inside = ndimage.distance_transform_edt(wide)
    outside = ndimage.distance_transform_edt(~wide)
    distance = np.where(wide, inside - 0.5, 0.5 - outside)
    distance = ndimage.gaussian_filter(distance, 0.7)
    if scene.pen < 1:
        # Later, as it brings in TensorFlow.
        from keras_meta.ink_filters import thinned

        # A thin pen follows the middle, or uneven strokes would break.
        middle = ndimage.distance_transform_edt(~thinned(wide))
        middle = ndimage.gaussian_filter(2.8 - middle, 0.7)
        distance = np.minimum(np.maximum(distance, middle), 2.8)
    at = [(part + 0.5) * 105 + 19.5 for part in where]
    distance = ndimage.map_coordinates(
        distance.astype("float32"), at, order=1, mode="constant", cval=-30
    )
    # The pen of the scans is 5 pixels wide.
    distance += 2.5 * (scene.pen - 1)
    pixel = scene.side * min(scene.height, scene.width) / 105
    return np.clip(distance * pixel + 0.5, 0, 1)


def _spots(scene, rng, cells=9):
    """Smooth random field with deviation 1, `(height, width)`."""
    field = rng.standard_normal((cells, cells), "float32")
    image = Image.fromarray(field).resize(
        (scene.width, scene.height), Image.BICUBIC
    )
    return np.asarray(image)


def _flecks(scene, rng, depth):
    """Grain of chalk or paper around 1, finer than a stroke."""
    field = rng.standard_normal((scene.height, scene.width), "float32")
    size = max(0.7, min(scene.height, scene.width) / 400)
    field = ndimage.gaussian_filter(field, size)
    return np.clip(1 + depth * field / field.std(), 0, 1)


def _paper(scene, where, rng):
    """The empty page, RGB `(height, width, 3)`."""
    page = np.ones((scene.height, scene.width, 1), "float32") * colour(
        scene.paper
    )
    tone = 1 + scene.texture * _spots(scene, rng)
    if scene.fibres:
        grain = rng.standard_normal(tone.shape, "float32")
        size = max(0.6, min(tone.shape) / 500)
        along = ndimage.gaussian_filter(grain, (size, 5 * size))
        across = ndimage.gaussian_filter(grain, (5 * size, size))
        tone += scene.fibres * along / along.std()
        tone += scene.fibres * across / across.std()
        dark = ndimage.gaussian_filter(grain, size)
        tone -= 3 * scene.fibres * (dark > 2.7 * dark.std())
    page = page * tone[..., None]
    if scene.rules:
        gap = scene.rules / scene.side
        thick = gap * rng.uniform(0.04, 0.09)
        lines = _lines(where[0], gap, thick, rng.uniform(), scene)
        if scene.grid:
            across = _lines(where[1], gap, thick, rng.uniform(), scene)
            lines = np.maximum(lines, across)
        page = page * (1 - lines[..., None] * (1 - colour(scene.rule_ink)))
    if scene.margin_line:
        at = where[1] + rng.uniform(0.52, 0.6)
        pixel = scene.side * min(scene.height, scene.width)
        line = np.clip((0.006 - np.abs(at)) * pixel + 0.5, 0, 1)
        page = page * (1 - line[..., None] * colour((0.15, 0.5, 0.45)))
    return page if scene.table is None else _on_table(page, scene, where, rng)


def _on_table(page, scene, where, rng):
    """A page with the table around it: its grain, and the page's shadow."""
    y, x = where
    up, down, left, right = scene.edges
    beyond = np.maximum.reduce([-y - up, y - down, -x - left, x - right])
    pixel = scene.side * min(scene.height, scene.width)
    seen = np.clip(beyond * pixel + 0.5, 0, 1)[..., None]
    grain = rng.standard_normal(y.shape, "float32")
    size = min(y.shape) / 400
    grain = ndimage.gaussian_filter(grain, (size, 20 * size))
    tone = 1 + 0.12 * grain / grain.std()
    tone = tone * (1 - 0.5 * np.exp(-np.maximum(beyond, 0) / 0.03))
    return page + seen * (tone[..., None] * colour(scene.table) - page)


def _lines(position, gap, thick, phase, scene):
    """Opacity of parallel lines at a distance `gap`."""
    pixel = scene.side * min(scene.height, scene.width)
    off = np.abs((position / gap + phase) % 1 - 0.5) * gap
    # A line thinner than a pixel is paler instead.
    shown = min(1, thick * pixel)
    half = max(thick, 1 / pixel) / 2
    return shown * np.clip((half - off) * pixel + 0.5, 0, 1)


def _light(scene, rng):
    """Light that falls on each pixel, up to 1."""
    y, x = np.mgrid[-1 : 1 : scene.height * 1j, -1 : 1 : scene.width * 1j]
    y, x = y.astype("float32"), x.astype("float32")
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * y + np.sin(angle) * x
    light = 1 - scene.shading * (0.5 + along / 2.83)
    light = light * (1 - scene.vignette * (y**2 + x**2) / 2)
    if scene.shadow:
        angle = rng.uniform(0, 2 * np.pi)
        edge = np.cos(angle) * y + np.sin(angle) * x
        edge = (
            edge
            + rng.uniform(0, 0.25)
            * (np.cos(angle) * x - np.sin(angle) * y) ** 2
            + rng.uniform(-0.5, 0.5)
        )
        dark = 1 / (1 + np.exp(-np.clip(edge / scene.penumbra, -30, 30)))
        light = light * (1 - scene.shadow * dark)
    return light


def _camera(page, scene, rng):
    """Blur, noise, bytes, compression, orientation."""
    if scene.blur:
        page = ndimage.gaussian_filter(page, (scene.blur, scene.blur, 0))
    if scene.noise:
        grey = rng.standard_normal((*page.shape[:2], 1), "float32")
        colour = rng.standard_normal(page.shape, "float32")
        page = page + scene.noise * (0.8 * grey + 0.6 * colour)
    pixels = np.round(255 * np.clip(page, 0, 1)).astype("uint8")
    picture = Image.fromarray(pixels)
    exif = Image.Exif()
    if scene.orientation != 1:
        # The camera stores it turned, and notes how to turn it back.
        back = {
            2: Image.FLIP_LEFT_RIGHT,
            3: Image.ROTATE_180,
            4: Image.FLIP_TOP_BOTTOM,
            5: Image.TRANSPOSE,
            6: Image.ROTATE_90,
            7: Image.TRANSVERSE,
            8: Image.ROTATE_270,
        }
        picture = picture.transpose(back[scene.orientation])
        exif[0x0112] = scene.orientation
    file = io.BytesIO()
    if scene.quality:
        picture.save(file, "jpeg", quality=scene.quality, exif=exif)
    else:
        picture.save(file, "png", exif=exif, compress_level=1)
    return Image.open(file)
