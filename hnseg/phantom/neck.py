"""The neck: spine, airway and larynx, muscles, glands, tonsils and vessels."""

from __future__ import annotations

import numpy as np

from hnseg.phantom.builder import SIDES, Builder, sheathed, shell
from hnseg.phantom.render import Layer, Material

# Canonical course of the great vessels (x for the patient's left); nodes are laid along the jugular vein.
JUGULAR_MM = np.array(
    [(27, -6, 128), (31, -8, 105), (35, -13, 80), (36, -16, 50), (34, -19, 20), (29, -22, -5), (20, -20, -32)]
)
CAROTID_MM = np.array(
    [(25, -13, 130), (26, -15, 100), (27, -20, 62), (24, -23, 40), (21, -22, 10), (16, -18, -25), (12, -6, -62)]
)
_SPINE_Z = np.array([-620.0, -420, -330, -220, -150, -90, -40, 0, 45, 90, 125])
_SPINE_Y = np.array([42.0, 30, 32, 47, 45, 36, 20, 6, -4, -3, 1])


def spine_y_mm(z_mm: float) -> float:
    """Canonical y of the middle of the vertebral bodies at a height."""
    return float(np.interp(z_mm, _SPINE_Z, _SPINE_Y))


def along_mm(course: np.ndarray, z_mm: float) -> np.ndarray:
    """Point (3,) of a vessel's course at a height."""
    order = np.argsort(course[:, 2])
    return np.array([np.interp(z_mm, course[order, 2], course[order, a]) for a in (0, 1)] + [z_mm])


def add_cervical_spine(b: Builder) -> None:
    """C1 to C7 with discs, arches and cord."""
    t = b.tissues
    bone = shell(t.cortex, t.vertebral, 1.6)
    heights = np.linspace(8.0, 92.0, 6)  # C7 up to C2
    for level, z in zip(range(7, 1, -1), heights, strict=True):
        y = spine_y_mm(z)
        wide = 12.5 + 0.45 * (level - 2)
        b.add(f"disc-C{level}", b.ellipsoid((0, y, z - 8.5), (wide - 1.5, 7.5, 3.4), boxy=True), t.disc)
        body = b.ellipsoid((0, y, z), (wide - 1.5, 7.3, 6.3), boxy=True)
        b.add(f"C{level}", body, bone, solid=True)
        _add_arch(b, f"C{level}", np.array([0, y, z]), wide, spine_mm=10 + 2.2 * (level - 1))
    b.add("dens", b.tube([(0, -2, 96), (0, -4, 116)], (6.5, 4.5)), bone, solid=True)
    ring = [(14 * np.cos(a), 4 + 16 * np.sin(a), 114.0) for a in np.linspace(0, 2 * np.pi, 13)]
    b.add("C1", b.tube(ring, 3.6, stretch=(1, 1, 1.3)), shell(t.cortex, t.vertebral, 1.4), solid=True)
    for side, name in SIDES:
        mass = b.ellipsoid((side * 18, 1, 113), (9, 8, 8), boxy=True)
        b.add(f"C1-mass-{name}", mass, bone, solid=True)
    canal = [(0, spine_y_mm(z) + 15.0, z) for z in (-420, -330, -220, -150, -90, -40, 0, 45, 90, 130)]
    b.add("canal", b.tube(canal, 8.5), t.fluid)
    b.add("cord", b.tube(canal, 5.5), t.cord)


def _by(point: np.ndarray, offset: tuple[float, float, float]) -> np.ndarray:
    return point + np.asarray(offset)


def _add_arch(b: Builder, name: str, body: np.ndarray, wide: float, spine_mm: float) -> None:
    t = b.tissues
    for side, _ in SIDES:
        foot = _by(body, (side * wide * 0.85, 5, 0))
        pillar = _by(body, (side * (wide + 7), 12, -1))
        lamina = _by(body, (0, 27, -5))
        b.add(
            f"{name}-arch",
            b.tube([foot, pillar, lamina], (3.8, 5.2, 3.4)),
            shell(t.cortex, t.vertebral, 1.5),
            solid=True,
        )
    process = b.tube([_by(body, (0, 26, -5)), _by(body, (0, 27 + spine_mm, -9))], (3.4, 3.0))
    b.add(f"{name}-spine", process, shell(t.cortex, t.vertebral, 1.5), solid=True)


def add_neck_muscles(b: Builder) -> None:
    """Posterior and lateral muscles and the fat planes they leave."""
    t = b.tissues
    muscle = sheathed(t.muscle, t.fat)
    nape = b.tube([(0, 30, 116), (0, 29, 60), (0, 35, 5), (0, 48, -30)], (20, 24, 26, 26), stretch=(1.8, 1, 1))
    b.add("nape", nape, (Layer(t.muscle, 0.0, 1.5),))
    b.add("nuchal-ligament", b.tube([(0, 44, 118), (0, 46, 60), (0, 52, 5)], 3.5, stretch=(1, 2.5, 1)), muscle)
    for side, name in SIDES:

        def at(*points: tuple[float, float, float], s: float = side) -> list[tuple[float, float, float]]:
            return [(s * x, y, z) for x, y, z in points]

        deep = b.tube(at((12, 33, 116), (14, 31, 60), (15, 34, 10), (17, 54, -60)), (11, 13, 14, 15))
        b.add(f"semispinalis-{name}", deep, muscle)
        splenius = b.tube(at((38, 26, 118), (31, 33, 60), (24, 46, 0)), (10, 12, 10), stretch=(1.3, 0.9, 1))
        b.add(f"splenius-{name}", splenius, muscle)
        levator = b.tube(at((26, 11, 105), (37, 13, 60), (46, 28, 10), (64, 52, -30)), (6, 10, 11, 9))
        b.add(f"levator-{name}", levator, muscle)
        upper = b.tube(at((10, 57, 112), (26, 51, 55), (44, 46, 15)), 5.5, stretch=(3.2, 0.9, 1))
        lower = b.tube(at((44, 46, 15), (85, 44, -12), (140, 38, -28)), (11, 13, 9), stretch=(1.4, 1.3, 1))
        b.add(f"trapezius-{name}", upper, muscle)
        b.add(f"trapezius-slope-{name}", lower, muscle)
        for front, x in ((-3, 23), (8, 30)):
            scalene = b.tube(at((x - 6, front, 80), (x, front, 30), (x + 14, front + 2, -14)), (5, 8, 9))
            b.add(f"scalene-{name}", scalene, muscle)
        b.add(f"longus-{name}", b.tube(at((6, -12, 108), (9, -13, 50), (8, -7, -10)), (4.5, 5.5, 4.5)), muscle)
        mastoid = at((56, 12, 114), (52, -4, 75), (43, -27, 30), (27, -46, -8), (14, -53, -30))
        sternomastoid = b.tube(mastoid, (8, 9, 9, 8, 5), stretch=(0.9, 1.9, 1))
        b.add(f"sternomastoid-{name}", sternomastoid, muscle)
        strap = b.tube(at((9, -56, 52), (12, -54, 20), (11, -52, -28)), 3.4, stretch=(2.6, 1, 1))
        b.add(f"strap-{name}", strap, muscle)
        b.add(f"suboccipital-{name}", b.tube(at((9, 22, 122), (11, 22, 98)), 11), muscle)


def add_pharynx(b: Builder) -> None:
    """Pharyngeal wall with tonsils, the airway from nose to trachea, esophagus."""
    t, uptake = b.tissues, b.subject.uptake
    wall = Material(52, 1.4, 5, 0.15)
    b.add("nasopharynx-wall", b.ellipsoid((0, -30, 126), (19, 15, 18), boxy=True), wall)
    b.add("oropharynx-wall", b.tube([(0, -25, 112), (0, -25, 60)], 12, stretch=(1.75, 1, 1)), wall)
    b.add("hypopharynx-wall", b.tube([(0, -27, 62), (0, -27, 20)], (11, 7.5), stretch=(2.0, 1, 1)), wall)
    palate = b.tube([(0, -46, 110), (0, -38, 104), (0, -33, 95)], (4.5, 5, 4), stretch=(3, 1, 1))
    b.add("soft-palate", palate, Material(48, uptake.soft_palate, 5, 0.15))
    lingual = b.ellipsoid((0, -39, 72), (14, 5, 9), jitter_mm=1.0)
    b.add("lingual-tonsil", lingual, Material(52, uptake.lingual_tonsil, 5, 0.2))
    b.add("adenoid", b.ellipsoid((0, -18, 133), (11, 4.5, 8)), Material(52, uptake.adenoid, 5, 0.15))
    for side, name in SIDES:
        suv = uptake.tonsil_left if side > 0 else uptake.tonsil_right
        radii = np.array([6.5, 8.5, 12]) * b.rng.uniform(0.85, 1.15)
        tonsil = b.ellipsoid((side * 18.5, -31, 88), radii, jitter_mm=1.0)
        b.add(f"tonsil-{name}", tonsil, Material(55, suv, 5, 0.15))
    width = float(b.rng.uniform(0.85, 1.2))
    b.add("nasopharynx", b.ellipsoid((0, -33, 127), (13 * width, 12, 17)), t.air, solid=True)
    pharynx = b.tube([(0, -26, 118), (0, -26, 92), (0, -27, 62)], (5.5, 5, 5), stretch=(2.1 * width, 1, 1))
    b.add("oropharynx", pharynx, t.air, solid=True)
    mouth = b.ellipsoid((0, -66, 108), (16, 20, float(b.rng.uniform(0.8, 2.5))))
    b.add("oral-cavity", mouth, t.air, solid=True)
    for side, name in SIDES:
        sinus = b.tube([(side * 12, -27, 58), (side * 13, -27, 36)], (4, 2.5), stretch=(1.2, 0.8, 1))
        b.add(f"piriform-sinus-{name}", sinus, t.air, solid=True)
        vallecula = b.ellipsoid((side * 7, -40, 62), (5, 4, 4))
        b.add(f"vallecula-{name}", vallecula, t.air, solid=True)
    gullet = [(2, spine_y_mm(z) - 14 if z > -90 else spine_y_mm(z) - 22, z) for z in (18, -20, -60, -110, -170)]
    tube = b.tube(gullet, 5.0, stretch=(1.5, 1, 1))
    b.add("esophagus", tube, Material(40, uptake.esophagus, 8, 0.15))


def add_larynx(b: Builder) -> None:
    """Hyoid, epiglottis, laryngeal cartilages, vocal folds, trachea."""
    t, uptake = b.tissues, b.subject.uptake
    ossified = Material(float(b.rng.uniform(120, 420)), 0.7, 110)
    b.add("preepiglottic-fat", b.ellipsoid((0, -48, 50), (12, 7, 10)), t.fat)
    b.add("larynx", b.ellipsoid((0, -38, 35), (17, 14, 17)), Material(48, uptake.larynx, 8, 0.2))
    horns = [(-23, -30, 63), (-16, -48, 61), (0, -56, 60), (16, -48, 61), (23, -30, 63)]
    b.add("hyoid", b.tube(horns, 2.3, stretch=(1, 1, 1.5)), shell(t.cortex, t.spongiosa, 1.2), solid=True)
    for side, name in SIDES:
        plate = b.tube([(side * 1.5, -56, 38), (side * 14, -44, 37), (side * 21, -26, 36)], 1.7, stretch=(1, 1, 6))
        b.add(f"thyroid-cartilage-{name}", plate, ossified, solid=True)
        b.add(f"arytenoid-{name}", b.ellipsoid((side * 6, -29, 30), (3, 3, 6)), ossified, solid=True)
    ring = [(11 * np.sin(a), -34 + 11 * np.cos(a), 16.0 + 3 * np.cos(a)) for a in np.linspace(0, 2 * np.pi, 13)]
    b.add("cricoid", b.tube(ring, 2.3, stretch=(1, 1, 1.8)), ossified, solid=True)
    vestibule = b.tube([(0, -34, 62), (0, -36, 48), (0, -38, 38)], (6, 5.5, 3.5), stretch=(1.3, 1.2, 1))
    b.add("vestibule", vestibule, t.air, solid=True)
    b.add("glottis", b.tube([(0, -38, 40), (0, -38, 24)], 2.2, stretch=(1, 4, 1)), t.air, solid=True)
    b.add("epiglottis", b.ellipsoid((0, -37.5, 62), (9, 1.7, 11), turn_deg=(-15, 0, 0)), Material(60, 1.5))
    windpipe = [(0, -36, 26), (0, -34, 8), (0, -26, -25), (0, -8, -62), (2, 2, -95)]
    b.add("trachea-wall", b.tube(windpipe[1:], 10.5), Material(60, 0.9, 20))
    b.add("trachea", b.tube(windpipe, (5.5, 8, 8.5, 8.5, 8.5), stretch=(1.05, 1, 1)), t.air, solid=True)


def add_glands(b: Builder) -> None:
    """Parotid, submandibular and thyroid glands."""
    t = b.tissues
    for side, name in SIDES:
        size = b.rng.uniform(0.9, 1.12)
        parotid = b.ellipsoid((side * 59, -10, 100), np.array([11, 18, 24]) * size, jitter_mm=1.5)
        b.add(f"parotid-{name}", parotid, t.parotid)
        gland = b.ellipsoid((side * 33, -48, 63), np.array([9, 15, 12]) * size, jitter_mm=1.5)
        b.add(f"submandibular-{name}", gland, t.submandibular)
        lobe = b.ellipsoid((side * 18, -33, 10), np.array([8, 9.5, 21]) * size, jitter_mm=1.0)
        b.add(f"thyroid-{name}", lobe, t.thyroid)
    b.add("thyroid-isthmus", b.tube([(-14, -42, 2), (0, -46, 2), (14, -42, 2)], 3, stretch=(1, 1, 2)), t.thyroid)


def add_vessels(b: Builder) -> None:
    """Carotid arteries, jugular veins, and a few small reactive nodes beside them."""
    t = b.tissues
    dominant = b.rng.choice([-1.0, 1.0])
    for side, name in SIDES:
        mirror = np.array([side, 1, 1])
        calibre = 6.2 if side == dominant else 4.8
        b.add(f"jugular-{name}", b.tube(JUGULAR_MM * mirror, calibre, stretch=(1, 1.2, 1)), t.vein)
        b.add(f"carotid-{name}", b.tube(CAROTID_MM * mirror, (2.6, 2.6, 3.8, 3.6, 3.6, 3.8, 4.5)), t.artery)
        external = b.tube([(side * 27, -21, 60), (side * 33, -31, 85), (side * 44, -24, 115)], (2.6, 2.2, 1.8))
        b.add(f"external-carotid-{name}", external, t.artery)
        for _ in range(int(b.rng.integers(2, 6))):
            z = float(b.rng.uniform(-5, 95))
            center = _by(along_mm(JUGULAR_MM, z) * mirror, (side * b.rng.uniform(5, 11), b.rng.uniform(1, 14), 0))
            radii = b.rng.uniform(2.2, 4.2) * np.array([0.8, 1.0, 1.5])
            b.add(f"node-{name}", b.ellipsoid(center, radii), t.node)


def add_brown_fat(b: Builder) -> None:
    """Metabolically active fat of the supraclavicular fossae and along the neck, where the subject has it."""
    hot = Material(-88, b.subject.uptake.brown_fat, 10, 0.3)
    strength = b.rng.uniform(0.7, 1.0, 2)
    if not b.subject.habitus.brown_fat:
        return
    for (side, name), scale in zip(SIDES, strength, strict=True):
        material = Material(hot.hu, hot.suv * float(scale), hot.hu_sd, hot.suv_cv)
        fossa = b.tube([(side * 44, -8, 40), (side * 52, 2, 5), (side * 88, -6, -18)], (4.5, 7, 6))
        b.add(f"brown-fat-{name}", fossa, (Layer(material, 0.0, 2.0),))
