"""The viewer in a browser: the voxel under the pointer, outlines on their voxels, keys, names, no network."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from ssimh.viewer.pack_case import pack_case
from ssimh.viewer.page import CaseFile, format_case_file, format_page
from tests.browser import PHONE
from tests.ssimh.viewer.scans import DIRECTIONS, SIZE, SPACING, case_of, image_of, marks_at, write_page

VOXELS = ((5, 6, 4), (12, 3, 8), (9, 10, 6))
PLANES = ("axial", "coronal", "sagittal")
FOCUSED = "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
COLORS = {  # of pixels
    "bright": lambda red, green, blue: (red > 150) & (green > 150) & (blue > 150),
    "dark": lambda red, green, blue: (red < 90) & (green < 90) & (blue < 90),
    "solid": lambda red, green, blue: (red < 60) & (green > 200) & (blue < 60),
}


def shown(open_page, path, size=(840, 520), **options):
    opened = open_page(path, size=size, **options)
    opened.page.wait_for_selector("body[data-ready]")
    return opened


def pixels(opened, view, wanted):
    """The pixels (n, 2) of a canvas, column and row, that have a color."""
    opened.page.evaluate("ssimhViewer.drawNow()")
    address = opened.page.evaluate(f"document.querySelector('#view-{view} canvas').toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))) as image:
        picture = np.asarray(image.convert("RGB")).astype(int)
    return np.argwhere(COLORS[wanted](*np.moveaxis(picture, -1, 0)))[:, ::-1].astype(float)


def hover(opened, view, place):
    """Point at a pixel of a canvas."""
    box = opened.page.locator(f"#view-{view} canvas").bounding_box()
    opened.page.mouse.move(box["x"] + place[0] + 0.5, box["y"] + place[1] + 0.5)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_the_voxel_under_the_pointer_is_the_planted_one(open_page, tmp_path, name):
    values = np.full(SIZE[::-1], -1000, np.int16)
    for n, (i, j, k) in enumerate(VOXELS):
        values[k, j, i] = 1000 + n
    image = image_of(values, DIRECTIONS[name])
    opened = shown(open_page, write_page(tmp_path, case_of(image, lesions=marks_at(image, VOXELS))))
    opened.page.get_by_label("Names of lesions").uncheck()
    for n, voxel in enumerate(VOXELS):
        opened.page.get_by_role("button", name=f"Go to N{n + 1}").click()  # all planes cut through the voxel
        for view in PLANES:
            (left, top), (right, bottom) = (getattr(pixels(opened, view, "bright"), end)(0) for end in ("min", "max"))
            hover(opened, view, ((left + right) / 2, (top + bottom) / 2))
            assert opened.value("CT") == f"{1000 + n} HU"
            assert opened.value("Voxel of CT (i, j, k)") == ", ".join(map(str, voxel))
            place = image.TransformIndexToPhysicalPoint(voxel)
            stated = [float(text.replace("−", "-")) for text in opened.value("Position, mm (LPS)").split(", ")]
            # The pointer is on a pixel, so near the middle of the voxel and not on it.
            assert np.abs(np.array(stated) - place).max() < 1.6


@pytest.mark.parametrize("name", ["straight", "sagittal", "oblique and flipped"])
def test_outlines_lie_on_the_borders_of_their_voxels(open_page, tmp_path, name):
    i, j, k = np.meshgrid(*(np.arange(n) for n in SIZE), indexing="ij")
    blob = ((i - 7) ** 2 + (1.2 * (j - 6)) ** 2 + (1.5 * (k - 5)) ** 2 < 20).transpose(2, 1, 0)
    blob[4:7, 5:8, 12:15] = True  # so that no mirror image of it is it
    ct = image_of(np.where(blob, 1000, -1000).astype(np.int16), DIRECTIONS[name])
    mask = image_of(blob.astype(np.uint8), DIRECTIONS[name])
    case = case_of(ct, mask=mask, lesions=marks_at(ct, [(7, 6, 5)]))
    opened = shown(open_page, write_page(tmp_path, case))
    opened.page.get_by_label("Names of lesions").uncheck()
    lines = {view: pixels(opened, view, "solid") for view in PLANES}
    opened.page.get_by_label("Mask one").uncheck()
    for view in PLANES:
        bright, dark = pixels(opened, view, "bright"), pixels(opened, view, "dark")
        voxel = _voxel_pixels(opened, view)
        # A line lies between bright and dark, which fade into each other over a voxel; at a corner it is farther.
        for side in (bright, dark):
            distances = _nearest(lines[view], side) / voxel
            assert np.median(distances) < 0.3
            assert distances.max() < 0.75
        edge = bright[_nearest(bright, dark) < 0.6 * voxel]
        assert (_nearest(edge, lines[view]) / voxel).max() < 0.9  # and there is one wherever they meet


def _voxel_pixels(opened, view):
    """The smaller side of a voxel on a plane."""
    corners = ([0, 0, 0], [0, 0, 100], [0, 100, 0], [100, 0, 0])
    places = [opened.page.evaluate(f"ssimhViewer.toPixel('{view}', {corner})") for corner in corners]
    return max(np.hypot(*np.subtract(place, places[0])) for place in places) / 100 * min(SPACING)


def _nearest(points, others):
    """How far each point is from the nearest other one."""
    return cKDTree(others).query(points)[0]


def _farthest(points, others):
    return float(_nearest(points, others).max())


def test_keys_reach_everything_in_order(open_page, tmp_path):
    ct = image_of(np.zeros(SIZE[::-1], np.int16))
    pet = image_of(np.ones(SIZE[::-1], np.float32))
    opened = shown(open_page, write_page(tmp_path, case_of(ct, pet=pet, lesions=marks_at(ct, VOXELS))))
    page, names = opened.page, []
    for _ in range(9):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        )
    assert names[:3] == ["CT", "Fused", "PET"]
    assert [name.split(",")[0] for name in names[3:]] == [
        *("Axial", "Axial slice", "Coronal", "Coronal slice", "Sagittal", "Sagittal slice"),
    ]
    page.locator("#view-axial canvas").focus()
    before = opened.state()["at"]
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "PageUp"):
        page.keyboard.press(key)
    assert np.subtract(opened.state()["at"], before) == pytest.approx([2.0, 5.0, 3.0])
    page.locator("#view-coronal canvas").focus()
    page.keyboard.press("ArrowUp")  # towards the head
    assert np.subtract(opened.state()["at"], before) == pytest.approx([2.0, 5.0, 6.0])
    for key, name, wanted in (("2", "mode", 1), ("n", "lesion", 1), ("b", "lesion", 0), ("+", "zoom", 1.25)):
        page.keyboard.press(key)
        assert opened.state()[name] == wanted
    page.keyboard.press("o")
    assert opened.state()["opacity"] == pytest.approx(0.5)
    page.keyboard.press("m")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("m")
    assert opened.state()["measures"] == ["Distance 6.0 mm"]
    page.locator("#view-projection canvas").focus()
    page.keyboard.press("ArrowRight")
    assert opened.state()["angle"] == 5


def test_wheel_and_buttons_scroll_zoom_window_and_measure(open_page, tmp_path):
    ct = image_of(np.full(SIZE[::-1], 70, np.int16))
    opened = shown(open_page, write_page(tmp_path, case_of(ct, pet=image_of(np.ones(SIZE[::-1], np.float32)))))
    page, mouse = opened.page, opened.page.mouse
    box = page.locator("#view-axial canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = opened.state()
    mouse.move(x, y)
    mouse.wheel(0, -100)
    page.wait_for_timeout(50)
    assert opened.state()["at"][2] == before["at"][2] + 3.0
    page.keyboard.down("Control")
    mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_timeout(50)
    assert opened.state()["zoom"] > 1
    mouse.down(button="right")
    mouse.move(x + 50, y)
    mouse.up(button="right")
    low, high = opened.state()["windows"]["ct"]
    assert high - low == pytest.approx(400 * 1.2)  # 50 pixels, each of a 250th of the width
    assert low + high == pytest.approx(80)
    page.get_by_label("A drag").select_option("circle")
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 80, y)
    mouse.up()
    (measure,) = opened.state()["measures"]
    assert "CT mean 70, SD 0, max 70 HU" in measure
    assert "PET mean 1.00, SD 0.00, max 1.00 SUV" in measure


def test_a_click_on_the_projection_finds_the_hot_voxel_from_every_side(open_page, tmp_path):
    pet = np.zeros(SIZE[::-1], np.float32)
    pet[8, 3, 12] = 20.0
    image = image_of(pet, DIRECTIONS["flipped"])
    case = case_of(image_of(pet.astype(np.int16), DIRECTIONS["flipped"]), pet=image)
    opened = shown(open_page, write_page(tmp_path, case))
    place = list(image.TransformIndexToPhysicalPoint((12, 3, 8)))
    for angle in (0, 60, 200):
        slider = opened.page.get_by_label("Angle of the projection")
        slider.fill(str(angle))
        opened.page.get_by_role("button", name="Middle").click()
        dark = pixels(opened, "projection", "dark")
        box = opened.page.locator("#view-projection canvas").bounding_box()
        hot = opened.page.evaluate("at => ssimhViewer.toPixel('projection', at)", place)
        spot = np.subtract(hot, (box["x"], box["y"]))
        assert _nearest([spot], dark)[0] < 8
        opened.page.mouse.click(*hot)
        assert opened.state()["values"]["PET"] == "20.00 SUV"


def test_cases_are_loaded_when_they_are_asked_for(open_page, tmp_path):
    odd, files = '<script>alert(1)</script> & "ü"', []
    for n, name in enumerate(("first", odd)):
        values = np.full(SIZE[::-1], 100 + n, np.int16)
        (tmp_path / f"case {n}.js").write_text(format_case_file(pack_case(case_of(image_of(values), name))))
        files.append(CaseFile(name, f"case%20{n}.js"))
    files.append(CaseFile("gone", "gone.js"))
    path = tmp_path / "index.html"
    path.write_text(format_page("<b>Cases</b>", files_of_cases=files), encoding="utf-8")
    opened = shown(open_page, path)
    asked = [url.rsplit("/", 1)[1] for url in opened.requests if not url.startswith("data:")]
    assert asked == ["index.html", "case%200.js"]
    assert opened.value("CT") == "100 HU"
    assert opened.page.locator("h1").text_content() == "<b>Cases</b>"
    opened.page.get_by_label("Case", exact=True).select_option(odd)
    opened.page.wait_for_selector("body[data-ready]")
    assert opened.value("CT") == "101 HU"
    assert opened.state()["case"] == odd
    opened.page.get_by_label("Case", exact=True).select_option("gone")
    opened.page.get_by_text("gone.js cannot be read").wait_for()
    (complaint,) = opened.complaints
    assert "ERR_FILE_NOT_FOUND" in complaint
    opened.complaints.clear()


def test_a_phone_shows_one_view_at_a_time_within_its_width(open_page, tmp_path):
    ct = image_of(np.zeros(SIZE[::-1], np.int16))
    case = case_of(ct, "a" * 60, pet=image_of(np.ones(SIZE[::-1], np.float32)), lesions=marks_at(ct, VOXELS))
    opened = shown(open_page, write_page(tmp_path, case), size=PHONE, touch=True)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert [page.locator(f"#view-{view}").is_visible() for view in PLANES] == [True, False, False]
    page.get_by_role("button", name="Coronal", exact=True).tap()
    assert [page.locator(f"#view-{view}").is_visible() for view in PLANES] == [False, True, False]
    before = opened.state()["at"]
    box = page.locator("#view-coronal canvas").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2 + 40, box["y"] + box["height"] / 2 - 40)
    after = opened.state()["at"]
    assert after[0] > before[0]  # to the patient's left
    assert after[2] > before[2]  # to the head
    touch = page.context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60), ("touchEnd", None)):
        fingers = [] if apart is None else [{"x": x + apart, "y": y, "id": 1}, {"x": x - apart, "y": y, "id": 2}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    assert opened.state()["zoom"] > 2


def test_a_page_has_a_case_or_files_of_cases():
    with pytest.raises(ValueError, match="one of the two"):
        format_page("none")
