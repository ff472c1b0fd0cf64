"""Random scenes of each cause by which a photograph differs from a scan.

Each cause is a function `rng -> dict` of what it changes of a `Scene`. The
ranges are wide: what phones, paper and pens may do, not what they mostly do.
"""

import numpy as np

from benchmarks.photographed_drawings import Scene

INKS = (
    (0.1, 0.15, 0.6),
    (0.7, 0.1, 0.12),
    (0.05, 0.4, 0.2),
    (0.35, 0.2, 0.1),
    (0.45, 0.15, 0.5),
    (0.4, 0.4, 0.42),
)
BOARDS = ((0.1, 0.2, 0.15), (0.12, 0.12, 0.13), (0.1, 0.15, 0.3))
TABLES = ((0.3, 0.2, 0.12), (0.15, 0.15, 0.15), (0.5, 0.35, 0.22))
KRAFT, CHALK = (0.72, 0.56, 0.4), (0.88, 0.88, 0.82)


def near(rng, value, spread):
    """A random colour around one."""
    offset = rng.uniform(-spread, spread, 3)
    return tuple(np.clip(np.array(value) + offset, 0, 1))


def frame(rng):
    """A picture that its drawing fills."""
    size = int(rng.integers(180, 420))
    return {"height": size, "width": size, "side": rng.uniform(0.9, 1.0)}


def sizes(rng):
    height, width = np.exp(rng.uniform(np.log(90), np.log(700), 2))
    ratio = np.clip(width / height, 0.5, 2)
    return {"height": int(height), "width": int(height * ratio), "side": 0.97}


def margin(rng):
    height = int(rng.integers(250, 600))
    return {
        "height": height,
        "width": int(height * rng.uniform(0.6, 1.6)),
        "side": rng.uniform(0.3, 0.7),
        "offset": tuple(rng.uniform(0.03, 0.97, 2)),
    }


def coloured_paper(rng):
    hue = rng.uniform(0.45, 1, 3)
    hue = hue / hue.max() * rng.uniform(0.75, 1)
    return {"paper": tuple(hue), "texture": rng.uniform(0, 0.04)}


def coloured_ink(rng):
    return {"ink": near(rng, INKS[rng.integers(len(INKS))], 0.08)}


def shading(rng):
    return {
        "shading": rng.uniform(0.2, 0.6),
        "vignette": rng.uniform(0, 0.4),
        "light": (1.0, rng.uniform(0.85, 1), rng.uniform(0.65, 1)),
    }


def shadow(rng):
    return {
        "shadow": rng.uniform(0.25, 0.65),
        "penumbra": rng.uniform(0.003, 0.08),
    }


def kraft(rng):
    return {
        "paper": near(rng, KRAFT, 0.08),
        "texture": rng.uniform(0.01, 0.05),
        "fibres": rng.uniform(0.01, 0.05),
    }


def ruled(rng):
    red = rng.uniform(0.5, 0.8)
    green = red + rng.uniform(0, 0.12)
    return {
        "rules": rng.uniform(0.05, 0.14),
        "rule_ink": (red, green, rng.uniform(0.8, 0.95)),
        "margin_line": bool(rng.uniform() < 0.3),
        "turn": rng.uniform(-2, 2),
        "side": rng.uniform(0.6, 0.85),
    }


def grid(rng):
    return {
        "rules": rng.uniform(0.03, 0.08),
        "grid": True,
        "rule_ink": near(rng, (rng.uniform(0.6, 0.85),) * 3, 0.1),
        "turn": rng.uniform(-2, 2),
        "side": rng.uniform(0.6, 0.85),
    }


def chalk(rng):
    return {
        "paper": near(rng, BOARDS[rng.integers(len(BOARDS))], 0.06),
        "ink": near(rng, CHALK, 0.1),
        "texture": rng.uniform(0, 0.15),
        "pen": rng.uniform(0.8, 1.5),
    }


def thick_pen(rng):
    return {"pen": rng.uniform(1.5, 2.4)}


def thin_pen(rng):
    return {"pen": rng.uniform(0.25, 0.6)}


def turned(rng):
    """A page that lies a little turned, and is seen from a side."""
    return {
        "turn": rng.uniform(-6, 6),
        "tilt": tuple(rng.uniform(-0.2, 0.2, 2)),
        "side": 0.8,
    }


def camera(rng):
    """Blur, noise and compression of a small picture."""
    size = int(rng.integers(100, 420))
    return {
        "height": size,
        "width": size,
        "blur": size * rng.uniform(0, 0.008),
        "noise": rng.uniform(0.01, 0.07),
        "quality": int(rng.integers(25, 90)),
    }


def exif(rng):
    return {
        "height": 300,
        "width": 400,
        "quality": 85,
        "orientation": int(rng.integers(1, 9)),
    }


def everything(rng):
    """One paper or board, an ink, light, a pen and a camera at once."""
    height = int(np.exp(rng.uniform(np.log(250), np.log(700))))
    width = int(height * rng.uniform(0.65, 1.5))
    scene = {}
    papers = (None, coloured_paper, kraft, ruled, grid, chalk)
    paper = papers[rng.integers(len(papers))]
    if paper is not None:
        scene.update(paper(rng))
    if paper is not chalk:
        if rng.uniform() < 0.5:
            scene.update(coloured_ink(rng))
        if rng.uniform() < 0.4:
            scene.update(shadow(rng))
            scene["shadow"] *= 0.8
    scene.update(shading(rng))
    scene["shading"] *= 0.7
    return {
        **scene,
        "height": height,
        "width": width,
        "side": rng.uniform(0.4, 0.85),
        "offset": tuple(rng.uniform(0.1, 0.9, 2)),
        "pen": rng.uniform(0.45, 2.0),
        "turn": rng.uniform(-4, 4),
        "tilt": tuple(rng.uniform(-0.12, 0.12, 2)),
        "blur": min(height, width) * rng.uniform(0, 0.004),
        "noise": rng.uniform(0.005, 0.04),
        "quality": int(rng.integers(40, 95)),
        "orientation": int(rng.integers(1, 9)),
    }


def table(rng):
    """A page whose edges are seen, on a darker table."""
    height = int(rng.integers(300, 650))
    return {
        "height": height,
        "width": int(height * rng.uniform(0.7, 1.4)),
        "side": rng.uniform(0.35, 0.55),
        "offset": tuple(rng.uniform(0.4, 0.6, 2)),
        "table": near(rng, TABLES[rng.integers(len(TABLES))], 0.08),
        "edges": tuple(rng.uniform(0.52, 0.75, 4)),
        "turn": rng.uniform(-6, 6),
        "tilt": tuple(rng.uniform(-0.1, 0.1, 2)),
        "pen": rng.uniform(0.5, 1.5),
        "shading": rng.uniform(0, 0.3),
        "noise": rng.uniform(0.005, 0.02),
    }


CAUSES = {
    "sizes": sizes,
    "margin": margin,
    "coloured paper": coloured_paper,
    "coloured ink": coloured_ink,
    "shading": shading,
    "shadow": shadow,
    "kraft": kraft,
    "ruled": ruled,
    "grid": grid,
    "chalk": chalk,
    "thick pen": thick_pen,
    "thin pen": thin_pen,
    "turned": turned,
    "camera": camera,
    "exif": exif,
    "everything": everything,
    "table": table,
}


def draw_scene(cause, rng):
    """A random scene of a cause; all else is as on a clean page.

    Args:
        cause: A name of `CAUSES`.
        rng: `numpy.random.Generator`.

    Returns:
        A `Scene`.
    """
    return Scene(**{**frame(rng), **CAUSES[cause](rng)})
