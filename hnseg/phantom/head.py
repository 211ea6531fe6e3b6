"""The head: skull and brain, orbits and sinuses, jaws and teeth, and the muscles that move them."""

from __future__ import annotations

import numpy as np

from hnseg.phantom.builder import SIDES, Builder, sheathed, shell
from hnseg.phantom.render import Layer, Material
from hnseg.phantom.shapes import Ellipsoid, Intersection

SKULL_CENTER = np.array([0.0, -6.0, 195.0])
SKULL_RADII = np.array([73.0, 92.0, 72.0])
SKULL_TAPER = (0.10, 0.0)  # broader behind the ears than at the forehead
FLOOR = (np.array([0.0, -20.0, 147.0]), np.array([0.0, 0.36, 1.0]))  # skull base: from orbital roof down to occiput


def outline(b: Builder, scalp_mm: float) -> list[Ellipsoid]:
    """Skin surface of cranium, face, chin and nose."""
    return [
        b.ellipsoid(SKULL_CENTER, SKULL_RADII + scalp_mm, taper=SKULL_TAPER),
        b.ellipsoid((0, -44, 128), (66, 58, 66), taper=(0.0, 0.10)),
        b.ellipsoid((0, -48, 90), (60, 57, 44), taper=(0.12, 0.10)),
        *(b.ellipsoid((side * 50, -14, 102), (24, 34, 42)) for side, _ in SIDES),  # over the parotid
        *(b.ellipsoid((side * 50, -46, 158), (21, 36, 36)) for side, _ in SIDES),  # over the temporal muscle
        *(b.ellipsoid((side * 32, -80, 150), (24, 19, 32)) for side, _ in SIDES),  # lids and cheeks
        b.ellipsoid((0, -82, 62), (22, 20, 17)),
        b.ellipsoid((0, -98, 98), (25, 12, 14)),
        b.ellipsoid((0, -105, 136), (11, 15, 16), turn_deg=(-25, 0, 0)),
        b.ellipsoid((0, -97, 153), (9, 12, 20), turn_deg=(-20, 0, 0)),
    ]


def add_brain_case(b: Builder) -> None:
    """Skull vault and base, meninges, brain."""
    t = b.tissues
    floor = b.above(*FLOOR, steepness=1.8)  # the base is thinner than the vault
    vault = b.ellipsoid(SKULL_CENTER, SKULL_RADII, taper=SKULL_TAPER)
    table = float(b.rng.uniform(1.8, 2.6))
    diploe = float(b.rng.uniform(1.8, 3.2))
    layers = (
        Layer(t.cortex),
        Layer(t.diploe, table),
        Layer(t.cortex, table + diploe),
        Layer(t.fluid, 2 * table + diploe),
    )
    b.add("skull", Intersection(vault, [floor]), layers, solid=True)
    depth = 2 * table + diploe
    folded = (Layer(t.gray_matter, 0.0, 1.2), Layer(t.white_matter, 6.5, 3.5))
    inner = SKULL_RADII - depth - 2.0
    tent = b.above((0, 30, 164), (0, -0.25, 1.0))
    for side, name in SIDES:
        half = b.above((side * 0.9, 0, 190), (side, 0, 0))
        lobe = b.ellipsoid(SKULL_CENTER + np.array([0, 0, 2]), inner, taper=SKULL_TAPER)
        raised = b.above(FLOOR[0] + np.array([0, 0, depth + 1.5]), FLOOR[1])
        behind = Intersection(lobe, [half, raised, tent])
        front = b.ellipsoid((side * 34, -40, 178), (30, 40, 26))
        b.add(f"cerebrum-{name}", behind, folded)
        b.add(f"temporal-lobe-{name}", Intersection(front, [lobe, raised, half]), folded)
        b.add(f"basal-ganglia-{name}", b.ellipsoid((side * 16, -12, 196), (9, 22, 13)), t.gray_matter)
        horn = b.tube([(side * 9, -36, 206), (side * 11, 0, 212), (side * 20, 28, 204)], (5, 6, 5))
        b.add(f"ventricle-{name}", horn, Material(7, t.white_matter.suv * 0.6))
        cerebellum = Intersection(b.ellipsoid((side * 22, 42, 150), (28, 30, 21)), [lobe])
        b.add(f"cerebellum-{name}", cerebellum, (Layer(t.cerebellum, 0.0, 1.0),))
    b.add("brainstem", b.tube([(0, 4, 130), (0, -4, 150), (0, -12, 172)], (8, 13, 12)), t.white_matter)


def add_skull_base(b: Builder) -> None:
    """Bone below the brain: clivus, temporal bones with air cells, occipital rim, zygoma, pterygoids."""
    t = b.tissues
    cells = Material(150, 0.7, 330)
    b.add("clivus", b.tube([(0, -9, 128), (0, -30, 152)], 7), shell(t.cortex, t.spongiosa, 2.0), solid=True)
    for side, name in SIDES:
        petrous = b.tube([(side * 52, 6, 139), (side * 17, -14, 143)], (9, 7))
        b.add(f"petrous-{name}", petrous, Material(1000, 0.6, 120), solid=True)
        mastoid = b.ellipsoid((side * 54, 17, 128), (10, 14, 19))
        b.add(f"mastoid-{name}", mastoid, shell(t.cortex, cells, 2.0), solid=True)
        b.add(f"ear-canal-{name}", b.tube([(side * 79, -4, 138), (side * 54, -6, 139)], 3.2), t.air, solid=True)
        arch = b.tube([(side * 60, -14, 142), (side * 66, -40, 142), (side * 56, -70, 142)], 3.2, stretch=(1, 1, 1.5))
        b.add(f"zygomatic-arch-{name}", arch, shell(t.cortex, t.spongiosa, 2.0), solid=True)
        plate = b.ellipsoid((side * 15, -42, 122), (1.8, 8, 15))
        b.add(f"pterygoid-plate-{name}", plate, t.cortex, solid=True)
        rim = b.tube([(side * 12, 14, 126), (side * 16, 24, 124), (side * 8, 40, 122)], 4.5)
        b.add(f"occiput-{name}", rim, shell(t.cortex, t.spongiosa, 1.8), solid=True)


def add_orbits_and_sinuses(b: Builder) -> None:
    """Orbits with eyes, nasal cavity, paranasal sinuses, maxilla and palate."""
    t = b.tissues
    bone = Material(650, 0.6, 150)
    b.add("maxilla", b.ellipsoid((0, -66, 128), (42, 27, 24), boxy=True), t.loose)
    b.add("nasal-bone", b.ellipsoid((0, -98, 160), (7, 4, 12), turn_deg=(-20, 0, 0)), bone, solid=True)
    b.add("frontal-sinus", b.ellipsoid((4, -88, 186), (16, 6, 9)), shell(t.cortex, t.air, 2.0), solid=True)
    b.add("sphenoid-sinus", b.ellipsoid((0, -38, 153), (13, 13, 10)), shell(bone, t.air, 1.6), solid=True)
    ethmoid = Material(-420, 0.8, 250)
    b.add("ethmoid", b.ellipsoid((0, -68, 160), (13, 24, 13), boxy=True), shell(bone, ethmoid, 1.2), solid=True)
    septum_bend = float(b.rng.normal(0, 2))
    b.add("nasal-cavity", b.ellipsoid((0, -70, 133), (15, 34, 21)), shell(bone, t.air, 1.6), solid=True)
    b.add("nostrils", b.ellipsoid((0, -104, 128), (8, 9, 6)), t.air, solid=True)
    b.add("septum", b.ellipsoid((septum_bend, -74, 135), (1.4, 34, 19)), Material(110, 1.0, 60))
    for side, name in SIDES:
        for height, size in ((124, 6.5), (137, 5.0), (146, 3.5)):
            conch = b.tube([(side * 8, -88, height), (side * 8.5, -52, height + 1)], size, stretch=(0.8, 1, 1.2))
            b.add(f"turbinate-{name}", conch, t.mucosa)
        sinus = b.ellipsoid((side * 29, -68, 137), (14, 17, 17), jitter_mm=1.0)
        b.add(f"maxillary-sinus-{name}", sinus, shell(bone, t.air, 1.8), solid=True)
        socket = b.ellipsoid((side * 31, -69, 167), (20, 26, 19), turn_deg=(0, 0, -side * 12))
        b.add(f"orbit-{name}", socket, shell(bone, t.fat, 2.0), solid=True)
        b.add(f"lid-{name}", b.ellipsoid((side * 32, -91, 166), (14, 4, 11)), t.muscle)
        for dx, dz in ((0, 10), (0, -10), (9, 0), (-9, 0)):
            muscle = b.tube([(side * 20, -50, 166), (side * (32 + dx), -76, 166 + dz)], 2.0)
            b.add(f"eye-muscle-{name}", muscle, Material(50, 3.0))
        b.add(f"optic-nerve-{name}", b.tube([(side * 17, -46, 166), (side * 31, -68, 166)], 2.0), t.gray_matter)
        b.add(f"eye-{name}", b.ellipsoid((side * 32, -80, 166), (12, 12, 12)), shell(t.muscle, t.eye, 1.2))
        ear = b.ellipsoid((side * 77, 6, 138), (3.2, 15, 27), turn_deg=(0, 0, -side * 22))
        b.add(f"ear-{name}", ear, Material(30, 0.6, 20))
    b.add("palate", b.ellipsoid((0, -70, 113), (23, 26, 3)), bone, solid=True)


def _arch(half_width: float, back: float, front: float, count: int) -> list[tuple[float, float]]:
    """Points (x, y) along a dental arch, from the patient's right to the left."""
    angle = np.linspace(-1, 1, count) * np.pi / 2
    return [(half_width * np.sin(a), back + (front - back) * np.cos(a) ** 0.8) for a in angle]


def add_jaws(b: Builder) -> None:
    """Mandible, alveolar arches, teeth and fillings."""
    t = b.tissues
    bone = shell(t.cortex, t.spongiosa, 2.3)
    body = [(-47, -30, 76), (-42, -52, 70), (-30, -72, 67), (-12, -85, 66), (12, -85, 66), (30, -72, 67)]
    path = [*body, (42, -52, 70), (47, -30, 76)]
    b.add("mandible", b.tube(path, (5.0, 5.5, 6, 6.5, 6.5, 6, 5.5, 5.0), stretch=(1, 1, 2.0)), bone, solid=True)
    for side, name in SIDES:
        ramus = b.tube([(side * 47, -33, 78), (side * 50, -27, 118)], 4.0, stretch=(1, 3.2, 1.5))
        neck = b.tube([(side * 50, -25, 115), (side * 50, -20, 134)], (4.5, 5.5), stretch=(1.3, 1, 1))
        b.add(f"ramus-{name}", ramus, shell(t.cortex, t.spongiosa, 2.0), solid=True)
        b.add(f"condyle-{name}", neck, shell(t.cortex, t.spongiosa, 2.0), solid=True)
    upper = _arch(27, -48, -91, 14)
    lower = _arch(26, -47, -88, 14)
    for name, arch, z, grows in (("upper", upper, 106.0, -1.0), ("lower", lower, 83.0, 1.0)):
        b.add(f"alveolus-{name}", b.tube([(x, y, z) for x, y in arch], 5.0), t.spongiosa, solid=True)
        kept = b.rng.random(14) >= b.subject.habitus.teeth_missing
        for (x, y), present in zip(arch, kept, strict=True):
            if present:
                tooth = b.ellipsoid((x, y, z + grows * 4), (3.2, 3.6, 9.5))
                b.add(f"tooth-{name}", tooth, t.tooth, solid=True)
    for _ in range(b.subject.habitus.dental_metal):
        x, y = lower[int(b.rng.choice([1, 2, 3, 10, 11, 12]))]
        b.add("dental-metal", b.ellipsoid((x, y, 93 + b.rng.uniform(-1, 5)), (3.5, 3.5, 2.6)), t.metal, solid=True)


def add_face_muscles(b: Builder) -> None:
    """Chewing muscles, tongue, floor of the mouth, cheeks and the fat between them."""
    t, uptake = b.tissues, b.subject.uptake
    muscle = sheathed(t.muscle, t.fat)
    tongue = Material(52, b.tissues.muscle.suv * 1.6, 8, 0.15)
    for side, name in SIDES:
        masseter = b.ellipsoid((side * 58, -40, 98), (8, 18, 30), turn_deg=(0, -side * 5, 0))
        b.add(f"masseter-{name}", masseter, muscle)
        b.add(f"temporalis-{name}", b.ellipsoid((side * 62, -46, 156), (7, 22, 30)), muscle)
        b.add(f"medial-pterygoid-{name}", b.ellipsoid((side * 38, -34, 98), (7, 13, 24)), muscle)
        b.add(f"lateral-pterygoid-{name}", b.ellipsoid((side * 34, -38, 124), (15, 12, 9)), muscle)
        b.add(f"buccinator-{name}", b.ellipsoid((side * 42, -70, 95), (4, 18, 16)), muscle)
        b.add(f"buccal-fat-{name}", b.ellipsoid((side * 50, -68, 108), (8, 12, 18)), t.fat)
        b.add(f"parapharyngeal-fat-{name}", b.ellipsoid((side * 28, -27, 104), (6, 10, 20)), t.fat)
    b.add("tongue", b.ellipsoid((0, -58, 86), (25, 32, 25)), tongue)
    b.add("genioglossus", b.tube([(0, -80, 70), (0, -60, 72)], 10, stretch=(1.4, 1, 1)), tongue)
    b.add("lips", b.ellipsoid((0, -99, 96), (24, 6, 12)), muscle)
    for side, name in SIDES:
        sheet = b.ellipsoid((side * 17, -60, 66), (14, 24, 4), turn_deg=(0, side * 14, 0))
        b.add(f"mylohyoid-{name}", sheet, muscle)
        b.add(f"geniohyoid-{name}", b.tube([(side * 5, -80, 66), (side * 5, -60, 62)], 4.5), muscle)
        gland = b.ellipsoid((side * 17, -64, 75), (6, 16, 6))
        b.add(f"sublingual-gland-{name}", gland, Material(40, uptake.floor_of_mouth, 8, 0.15))
        b.add(f"digastric-{name}", b.tube([(side * 8, -80, 58), (side * 22, -52, 58)], 4.0), muscle)
