"""The trunk: body outline, shoulders, chest, abdomen and legs; the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hnseg.phantom import head
from hnseg.phantom.builder import SIDES, Builder, shell
from hnseg.phantom.neck import spine_y_mm
from hnseg.phantom.render import Layer, Material
from hnseg.phantom.shapes import F32, Capsule, Difference, Intersection, Shape, Stack, Union

# Canonical sections of neck and trunk: z, half-width, front y, back y, squareness.
_SECTIONS = np.array(
    [
        (-620.0, 182, -98, 104, 0.45),
        (-560, 180, -100, 106, 0.45),
        (-470, 162, -104, 98, 0.45),
        (-380, 158, -108, 96, 0.45),
        (-260, 166, -116, 106, 0.5),
        (-170, 170, -114, 110, 0.5),
        (-110, 172, -104, 110, 0.5),
        (-75, 182, -90, 106, 0.45),
        (-50, 186, -76, 98, 0.35),
        (-32, 160, -66, 92, 0.2),
        (-15, 112, -62, 82, 0.05),
        (2, 78, -62, 72, 0.0),
        (20, 66, -62, 64, 0.0),
        (45, 62, -63, 60, 0.0),
        (70, 60, -60, 60, 0.0),
        (95, 60, -52, 64, 0.0),
        (125, 58, -40, 70, 0.0),
        (150, 50, -30, 64, 0.0),
    ]
)
_LEG_END_MM = -1180.0


@dataclass(frozen=True)
class _ByHeight:
    """Thickness in mm as a function of physical z: linear between knots."""

    z_mm: tuple[float, ...]
    thickness_mm: tuple[float, ...]

    def __call__(self, z: F32) -> F32:
        return np.interp(z, self.z_mm, self.thickness_mm).astype(np.float32)


def _stack(b: Builder) -> Stack:
    posture, habitus = b.subject.posture, b.subject.habitus
    rows = []
    for z, half_x, front, back, square in _SECTIONS:
        # Fat under the skin of the trunk widens it; the neck gains a third of that.
        extra = (habitus.fat_mm - 13.0) * float(np.interp(z, [-30.0, 30.0, 110.0], [0.8, 0.3, 0.1]))
        wide = float(np.interp(z, [-60.0, 0.0], [habitus.trunk_width, 1.0]))
        middle = np.array([0.0, (front + back) / 2, z])
        turn = posture.jacobian(middle)
        placed = posture.place(middle)
        half_y = ((back - front) / 2 + extra * 0.8) * np.linalg.norm(turn[:, 1])
        rows.append(
            (placed[2], placed[0], placed[1], (half_x * wide + extra) * np.linalg.norm(turn[:, 0]), half_y, square)
        )
    z_mm, x_mm, y_mm, half_x_mm, half_y_mm, squareness = np.array(rows).T
    yaw_rad = float(np.deg2rad(posture.trunk_turn_deg[2]))
    return Stack(z_mm, x_mm, y_mm, half_x_mm, half_y_mm, squareness, yaw_rad)


def back_mm(b: Builder) -> float:
    """Scanner y of the skin of the back: where the table begins."""
    stack = _stack(b)
    chest = stack.z_mm > b.subject.posture.place(np.array([0.0, 0.0, -240.0]))[2]
    return float((stack.y_mm + stack.half_y_mm)[chest].max())


def _arms(b: Builder) -> list[Shape]:
    shapes: list[Shape] = []
    for side, _ in SIDES:
        shapes.append(b.tube([(side * 150, 28, -58), (side * 176, 30, -70)], (44, 46)))
        shapes.append(b.tube(_arm_course(b, side), (47, 44, 40, 32)))
    return shapes


def _arm_course(b: Builder, side: float) -> list[tuple[float, float, float]]:
    if b.subject.habitus.arms == "up":
        return [(side * 160, 20, -50), (side * 178, 0, 60), (side * 172, -10, 190), (side * 120, -20, 320)]
    return [(side * 178, 30, -75), (side * 196, 42, -200), (side * 204, 46, -330), (side * 196, 20, -560)]


def add_body(b: Builder) -> None:
    """Skin, subcutaneous fat and the loose tissue around muscles and organs."""
    t, habitus = b.tissues, b.subject.habitus
    scalp = float(b.rng.uniform(5.0, 7.5))
    legs = [b.tube([(s * 88, 8, -570), (s * 80, 5, -880), (s * 75, 8, _LEG_END_MM)], (88, 58, 44)) for s, _ in SIDES]
    shapes: list[Shape] = [_stack(b), *legs, *_arms(b), *head.outline(b, scalp)]
    levels = [b.subject.posture.place(np.array([0.0, 0.0, z]))[2] for z in (-60.0, 20.0, 60.0, 115.0, 150.0)]
    fat = habitus.fat_mm
    thickness = (1.5 + fat, 1.5 + 0.55 * fat, 1.5 + 0.45 * fat, 4.5, 3.0)
    layers = (Layer(t.skin), Layer(t.fat, 1.8), Layer(t.loose, _ByHeight(tuple(levels), thickness), 0.6))
    b.add("body", Union(shapes, blend_mm=10.0), layers)
    inner = Material(t.muscle.hu, t.muscle.suv, 14, 0.15)
    chest = Difference(_stack(b), [], grow_mm=-(fat + 3.0))
    b.add("trunk-wall", Intersection(chest, [b.above((0, 0, -42), (0, 0.35, -1))]), (Layer(inner, 0.0, 0.6),))
    for (_, name), shape in zip([s for s in SIDES for _ in range(2)], _arms(b), strict=True):
        b.add(f"arm-{name}", Difference(shape, [], grow_mm=-(4 + fat * 0.45)), t.muscle)
    for (_, name), leg in zip(SIDES, legs, strict=True):
        b.add(f"thigh-{name}", Difference(leg, [], grow_mm=-(4 + fat * 0.6)), t.muscle)


def add_shoulders(b: Builder) -> None:
    """Clavicles, scapulae, upper arms."""
    t = b.tissues
    bone = shell(t.cortex, t.spongiosa, 2.0)
    for side, name in SIDES:

        def at(*points: tuple[float, float, float], s: float = side) -> list[tuple[float, float, float]]:
            return [(s * x, y, z) for x, y, z in points]

        b.add(f"supraclavicular-fat-{name}", b.tube(at((50, 0, 5), (75, -6, -18)), (12, 11)), t.fat)
        b.add(f"axilla-{name}", b.ellipsoid((side * 140, 10, -105), (20, 28, 34)), t.fat)
        shaft = at((14, -52, -38), (55, -50, -30), (100, -22, -24), (140, 4, -24))
        b.add(f"clavicle-{name}", b.tube(shaft, (8, 6, 5.5, 6)), bone, solid=True)
        blade = b.ellipsoid((side * 112, 68, -95), (42, 4.5, 62), turn_deg=(0, 0, -side * 28))
        b.add(f"scapula-{name}", blade, bone, solid=True)
        ridge = b.tube(at((80, 78, -62), (130, 62, -40), (158, 28, -28)), (5, 7, 8))
        b.add(f"scapular-spine-{name}", ridge, bone, solid=True)
        joint = b.ellipsoid((side * 142, 32, -62), (9, 14, 18))
        b.add(f"glenoid-{name}", joint, bone, solid=True)
        b.add(f"humeral-head-{name}", b.ellipsoid((side * 170, 28, -62), (23, 23, 23)), bone, solid=True)
        course = _arm_course(b, side)
        shaft_bone = shell(t.cortex, Material(-40, 0.6, 20), 4.5)
        b.add(f"humerus-{name}", b.tube([(side * 172, 28, -66), *course[1:3]], (13, 11, 12)), shaft_bone, solid=True)


def add_thoracic_cage(b: Builder) -> None:
    """Thoracic and lumbar spine, ribs, sternum."""
    t = b.tissues
    bone = shell(t.cortex, t.vertebral, 1.5)
    z, level = -12.0, 1
    while z > -520:
        y = spine_y_mm(z)
        size = float(np.interp(z, [-520, -250, 0], [25, 16, 13]))
        b.add(f"disc-T{level}", b.ellipsoid((0, y, z + size * 0.85), (size, size * 0.7, 3.2), boxy=True), t.disc)
        b.add(f"T{level}", b.ellipsoid((0, y, z), (size, size * 0.75, size * 0.62), boxy=True), bone, solid=True)
        for side, _ in SIDES:
            arch = b.tube(
                [(side * size * 0.8, y + 6, z), (side * (size + 6), y + 17, z), (0, y + 30, z - 8)], (4, 4.5, 3.5)
            )
            b.add(f"T{level}-arch", arch, bone, solid=True)
            muscle = b.tube([(side * 24, y + 36, z + 14), (side * 25, y + 36, z - 16)], 15)
            b.add("erector-spinae", muscle, t.muscle)
        b.add(f"T{level}-spine", b.tube([(0, y + 28, z - 8), (0, y + 48, z - 24)], 3.2), bone, solid=True)
        if level <= 10:
            _add_ribs(b, level, z, y)
        z -= size * 1.7
        level += 1
    plate = b.tube([(0, -60, -42), (0, -74, -80), (0, -90, -190)], (5.5, 5, 5), stretch=(4, 1, 1))
    b.add("sternum", plate, shell(t.cortex, t.vertebral, 1.5), solid=True)


def _cage(z_mm: float) -> tuple[float, float, float]:
    """Half-width, front y and back y of the rib cage's outer surface."""
    heights = [-330.0, -250, -170, -110, -60, -25, 0]
    half = np.interp(z_mm, heights, [122, 132, 130, 118, 88, 58, 34])
    front = np.interp(z_mm, heights, [-92, -96, -94, -82, -60, -38, -14])
    back = np.interp(z_mm, heights, [84, 90, 88, 78, 58, 38, 22])
    return float(half), float(front), float(back)


def _add_ribs(b: Builder, level: int, z: float, y: float) -> None:
    t = b.tissues
    steep = 14.0 + 5.0 * level
    for side, name in SIDES:
        points = []
        for angle in np.linspace(0.12, 0.86 if level < 8 else 0.6, 8) * np.pi:
            height = z - steep * angle
            half, front, back = _cage(height)
            middle = (front + back) / 2
            points.append((side * half * np.sin(angle), middle + (back - middle) * np.cos(angle), height))
        course = [(side * 18, y + 12, z + 2), *points]
        rib = b.tube(course, 3.3, stretch=(1, 1, 1.5))
        b.add(f"rib-{level}-{name}", rib, shell(t.cortex, t.vertebral, 1.4), solid=True)


def add_chest_organs(b: Builder) -> None:
    """Mediastinum with lungs, aorta, great veins, bronchi and heart."""
    t = b.tissues
    for side, name in SIDES:
        upper = b.ellipsoid((side * 52, 8, -95), (42, 58, 92), turn_deg=(8, -side * 10, 0))
        lower = b.ellipsoid((side * 70, 0, -210), (52, 78, 110))
        dome = b.above((0, 0, -262 if side > 0 else -248), (0, -0.25, 1))
        lung = Intersection(Union([upper, lower], blend_mm=25.0), [dome])
        b.add(f"lung-{name}", lung, t.lung, solid=True)
        for _ in range(14):
            start = np.array([side * 26, 4, -125.0])
            end = np.array([side * b.rng.uniform(40, 100), b.rng.uniform(-50, 60), b.rng.uniform(-215, -60)])
            vessel = b.tube([start, (start + end) / 2 + b.jitter(5), end], (4.5, 2.5, 1.0))
            b.add(f"lung-vessel-{name}", Intersection(vessel, [lung]), t.vein)
    b.add("mediastinum", b.ellipsoid((0, -22, -120), (30, 42, 90)), t.loose)
    arch = [(14, -52, -150), (12, -46, -85), (8, -26, -66), (16, 6, -68), (24, 22, -95), (20, 24, -250), (4, 5, -420)]
    b.add("aorta", b.tube(arch, (15, 14, 13, 12, 12, 11.5, 9.5)), t.artery)
    cava = b.tube([(-22, -28, -52), (-24, -30, -90), (-26, -26, -150)], (7, 9, 10))
    b.add("vena-cava", cava, t.vein)
    for side, name in SIDES:
        b.add(f"brachiocephalic-{name}", b.tube([(side * 20, -20, -32), (-20, -32, -58)], 6.5), t.vein)
        hilum = b.tube([(0, -18, -118), (side * 34, -2, -122)], (12, 7))
        b.add(f"pulmonary-artery-{name}", hilum, t.artery)
        bronchus = b.tube([(2, 2, -93), (side * 32, 6, -118)], (7, 5.5))
        b.add(f"bronchus-{name}", bronchus, t.air, solid=True)
    b.add("heart", b.ellipsoid((8, -42, -185), (52, 40, 46)), t.vein)
    ventricle = b.ellipsoid((40, -38, -200), (27, 27, 43), turn_deg=(35, 40, 0))
    b.add("left-ventricle", ventricle, shell(t.myocardium, t.artery, 10.0))


def add_abdomen(b: Builder) -> None:
    """Enough of abdomen, pelvis and legs for whole-body scans: liver, kidneys, bladder, bones."""
    t = b.tissues
    b.add("abdominal-fat", b.ellipsoid((0, -25, -430), (125, 62, 150)), t.loose)
    b.add("liver", b.ellipsoid((-58, -20, -295), (82, 72, 62)), t.liver)
    b.add("spleen", b.ellipsoid((98, 35, -300), (28, 40, 48)), Material(52, 1.9, 4, 0.06))
    b.add(
        "stomach", b.ellipsoid((58, -40, -310), (45, 38, 50)), shell(Material(40, 2.2), Material(-400, 0.5, 300), 8.0)
    )
    for side, name in SIDES:
        kidney = b.ellipsoid((side * 62, 42, -390), (27, 25, 55))
        b.add(f"kidney-{name}", kidney, shell(Material(40, 4.0, 4), Material(12, 18.0), 14.0))
        b.add(
            f"iliac-{name}",
            b.ellipsoid((side * 92, 30, -545), (12, 52, 62), turn_deg=(0, side * 22, 0)),
            shell(t.cortex, t.vertebral, 2.0),
        )
        b.add(
            f"femur-{name}",
            b.tube([(side * 88, 8, -625), (side * 100, 8, -680), (side * 80, 5, -1020)], (23, 16, 14)),
            shell(t.cortex, t.spongiosa, 5.0),
        )
        b.add(
            f"tibia-{name}",
            b.tube([(side * 78, 4, -1040), (side * 75, 8, _LEG_END_MM)], (24, 13)),
            shell(t.cortex, t.spongiosa, 4.0),
        )
    for _ in range(8):
        loop = b.ellipsoid(b.rng.uniform((-90, -70, -530), (90, -10, -370)), (22, 18, 20))
        b.add("bowel", loop, Material(25, float(b.rng.uniform(1.0, 4.5)), 20, 0.3))
    b.add("bladder", b.ellipsoid((0, -35, -580), (34, 32, 28)), Material(6, float(b.rng.uniform(15, 40))))


def add_table(b: Builder, back_mm: float) -> None:
    """Curved carbon-fiber table top below the back, and a head rest; they belong to the scanner, not to the patient."""
    skin, foam = Material(60, 0.03, 20), Material(-950, 0.02)
    x, z = 0.3 * float(b.subject.posture.shift_mm[0]), float(b.subject.posture.shift_mm[2])

    def bar(half_x: float, half_y: float, y: float, low: float, high: float) -> Capsule:
        return Capsule(
            np.array([x, y, low]), np.array([x, y, high]), half_y, half_y, np.diag([half_y / half_x, 1.0, 1.0])
        )

    def trough(radius: float, half_x: float, top: float, thick: float, low: float, high: float) -> Shape:
        """A piece of a tube's wall whose lowest inner line lies at ``top``."""
        outer = bar(radius + thick, radius + thick, top - radius, low, high)
        inner = bar(radius, radius, top - radius, low, high)
        return Intersection(bar(half_x, 75.0, top - 10.0, low, high), [Difference(outer, [inner])])

    length = 3000.0
    b.add("table", trough(430.0, 212.0, back_mm + 1.0, 22.0, z - length, z + length), shell(skin, foam, 2.6))
    nape_mm = float(b.subject.posture.place(np.array([0.0, 92.0, 180.0]))[1])
    rest = trough(130.0, 88.0, nape_mm + 8.0, 14.0, z + 105, z + 235)
    b.add("head-rest", rest, shell(Material(-80, 0.02, 20), foam, 2.0))
