"""Arrays, tensors and figures, as a notebook holds them: their pixels, or a refusal that helps."""

import io
import math
import sys
import types
import warnings

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from image_files import load, read_refusal
from PIL import Image
from raising import assert_names

from ipyimagegen.imaging import encode_input, fit_input

mpl.use("agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure


def decoded(thing, name="x"):
    return load(encode_input(thing, name).data)


def pixels(thing):
    return np.asarray(decoded(thing))


def refusal(thing, name="x"):
    return read_refusal(name, lambda: encode_input(thing, name))


def noise(*shape, dtype="uint8", high=256):
    return np.random.default_rng(3).integers(0, high, shape).astype(dtype)


# Shapes


@given(
    hnp.arrays("uint8", st.tuples(st.integers(1, 9), st.integers(5, 9), st.sampled_from([1, 2, 3, 4]))),
)
@settings(max_examples=60, deadline=None)
def test_channels_last(array):
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[array.shape[2]]
    wanted = Image.fromarray(array[:, :, 0] if mode == "L" else array, mode=None)
    wanted = wanted.convert("RGBA") if mode == "LA" else wanted
    assert np.array_equal(pixels(array), np.asarray(wanted))
    if mode == "L":
        assert np.array_equal(pixels(array[:, :, 0]), np.asarray(wanted))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_first_and_batches_of_one(channels):
    last = noise(7, 9, channels)
    for array in (last.transpose(2, 0, 1), last[None], last.transpose(2, 0, 1)[None], last[None, None]):
        assert np.array_equal(pixels(array), pixels(last))
    assert pixels(last).shape[:2] == (7, 9)


def test_where_both_ends_could_be_channels_the_last_are():
    assert pixels(noise(3, 5, 3)).shape == (3, 5, 3)
    assert pixels(noise(1, 5, 4)).shape == (1, 5, 4)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((), "(float64)"),
        ((9,), "(9,)"),
        ((4, 64, 64, 3), "(4, 64, 64, 3)"),
        ((4, 3, 64, 64), "(4, 3, 64, 64)"),
        ((7, 64, 64), "(7, 64, 64)"),
        ((2, 2, 2, 9, 9), "(2, 2, 2, 9, 9)"),
        ((1, 64, 64, 5), "(1, 64, 64, 5)"),
        ((64, 64, 8), "(64, 64, 8)"),
        ((100, 64, 64), "(100, 64, 64)"),
        ((0,), "(0,)"),
        ((0, 5, 3), "(0, 5, 3)"),
    ],
)
def test_other_shapes_are_refused(shape, text):
    assert text in refusal(np.zeros(shape))


def test_a_variable_s_own_name_is_in_the_hint():
    assert refusal(np.zeros((4, 9, 9, 3)), "{batch.images}").endswith(" {batch.images[0]}.")
    assert refusal(np.zeros((4, 9, 9, 3)), "--image").endswith(" x[0].")


def test_too_many_pixels_are_refused_before_they_are_read():
    huge = np.broadcast_to(np.uint8(1), (30_000, 30_000))
    assert "30000x30000" in refusal(huge)


# Values


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"])
def test_whole_numbers(dtype):
    array = noise(5, 6, 3, dtype=dtype, high=128 if dtype == "int8" else 256)
    assert np.array_equal(pixels(array), array)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
@pytest.mark.parametrize("scale", [1, 255])
def test_floats_come_back_as_the_bytes_that_they_were(dtype, scale):
    array = noise(16, 16, 3)
    array[0, 0] = (0, 255, 1)
    assert np.array_equal(pixels((array / 255 * scale).astype(dtype)), array)


def test_what_arithmetic_adds_is_no_other_range():
    array = np.array([[0.0, 1.0 + 1e-6], [-1e-6, 0.5]])
    assert pixels(array).tolist() == [[0, 255], [0, 128]]
    assert pixels(np.array([[0, 255.3]])).tolist() == [[0, 255]]


def test_booleans_are_black_and_white():
    array = noise(6, 7, high=2, dtype=bool)
    assert np.array_equal(pixels(array), array * np.uint8(255))
    colours = noise(6, 7, 3, high=2, dtype=bool)
    assert np.array_equal(pixels(colours), colours * np.uint8(255))


def test_sixteen_bits():
    grey = noise(5, 6, dtype="uint16", high=65536)
    assert decoded(grey).mode == "I;16"
    assert np.array_equal(pixels(grey), grey)
    big_endian = grey.astype(">u2")
    assert np.array_equal(pixels(big_endian), grey)
    colour = noise(5, 6, 3, dtype="uint16", high=65536)
    assert np.array_equal(pixels(colour), colour >> 8)
    assert len(encode_input(colour).notes) == 1


@pytest.mark.parametrize(
    ("high", "white"), [(200, 255), (255, 255), (900, 1023), (4095, 4095), (4096, 16383), (16383, 16383)]
)
@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 3)])
def test_sixteen_bits_that_hold_fewer(high, white, shape):
    """Cameras, microscopes and scanners leave the upper bits empty: such images would be nearly black."""
    array = np.linspace(0, high, math.prod(shape)).astype("uint16").reshape(shape)
    sent = fit_input(encode_input(array), ("png",), 50_000_000)
    expected = (array * (255 / white) + 0.5).astype("uint8")
    assert np.abs(pixels(sent.data).astype(int) - expected).max() <= 1  # halves are rounded either way
    (note,) = sent.notes
    assert_names(note, white, high)


def test_scaled_values_are_stated():
    assert_names(encode_input(np.array([[0.0, 200.0]])).notes[0], 255, 200)
    assert len(encode_input(np.array([[False, True]])).notes) == 1
    for as_usual in (np.array([[0.0, 1.0]]), np.array([[0, 255]]), np.array([[0, 65535]], "uint16")):
        assert encode_input(as_usual).notes == ()


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.array([[0, 256]]), "from 0 to 256"),
        (np.array([[-1, 5]]), "from -1 to 5"),
        (np.array([[-1.0, 1.0]]), "(x + 1) / 2"),
        (np.array([[0, 1.3]]), "from 0 to 1.3"),
        (np.array([[0, 4000.5]]), "from 0 to 4000"),
        (np.array([[0, np.nan]]), "NaN"),
        (np.array([[0, np.inf]]), "NaN"),
        (np.array([[1j]]), "complex128"),
        (np.array([["a"]]), "<U1"),
        (np.array([[None]]), "NoneType"),
        (np.array([], object), "NoneType"),
        (np.zeros((2, 2), [("r", "u1")]), "[('r', 'u1')]"),
    ],
)
def test_other_values_are_refused(array, text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert text in refusal(array)


# Memory


def test_any_layout_of_memory_is_read_and_none_is_changed():
    array = noise(8, 10, 3)
    frozen = array.copy()
    frozen.flags.writeable = False
    layouts = [np.asfortranarray(array), frozen, np.repeat(array, 2, axis=1)[:, ::2], array[::-1][::-1]]
    for layout in layouts:
        assert np.array_equal(pixels(layout), array)
    floats = array / 255
    before = floats.copy()
    encode_input(floats)
    assert np.array_equal(floats, before)


def test_masked_arrays_are_black_where_nothing_is_known():
    array = np.ma.masked_greater(np.array([[0.2, np.nan], [1.0, 0.4]]), 0.9)
    array = np.ma.masked_invalid(array)
    assert pixels(array).tolist() == [[51, 0], [0, 102]]


# What is like an array


class Labelled:
    """As xarray's DataArray is."""

    def __init__(self, array):
        self.values = array

    def __array__(self, dtype=None, copy=None):
        return self.values


class Interface:
    """As what other libraries offer."""

    def __init__(self, array):
        self.array = array

    @property
    def __array_interface__(self):
        return self.array.__array_interface__


@pytest.mark.parametrize("kind", [Labelled, Interface])
def test_what_can_be_made_an_array(kind):
    array = noise(5, 6, 3)
    assert np.array_equal(pixels(kind(array)), array)


def test_a_library_that_refuses_is_quoted():
    class Remote:
        def __array__(self, dtype=None, copy=None):
            raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    text = refusal(Remote())
    assert "test_imaging_arrays." in text
    assert "TypeError: Implicit conversion to a NumPy array is not allowed" in text


@pytest.mark.parametrize(
    ("package", "name"), [("pandas.core.frame", "DataFrame"), ("pandas.core.series", "Series")]
)
def test_a_table_is_no_image(package, name):
    table = type(name, (Labelled,), {"__module__": package})(noise(5, 5))
    assert f"pandas.{name}" in refusal(table)


# Tensors: a stand-in that refuses as real ones do


class Tensor:
    def __init__(self, array, device="cpu", dtype=None, grad=False):
        self.array, self.device, self.grad = array, device, grad
        self.dtype = f"torch.{dtype or array.dtype}"

    def detach(self):
        return Tensor(self.array, self.device, self.dtype.removeprefix("torch."))

    def cpu(self):
        return Tensor(self.array, "cpu", self.dtype.removeprefix("torch."), self.grad)

    def float(self):
        return Tensor(self.array.astype("float32"), self.device, "float32", self.grad)

    def numpy(self):
        if self.device != "cpu":
            raise TypeError("can't convert cuda:0 device type tensor to numpy.")
        if self.grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array

    def __array__(self, dtype=None, copy=None):
        return self.numpy()


@pytest.fixture
def torch(monkeypatch):
    module = types.ModuleType("torch")
    module.Tensor = Tensor
    monkeypatch.setitem(sys.modules, "torch", module)


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_tensors(device, grad, dtype):
    array = noise(6, 7, 3)
    values = (array / 255).astype("float32" if dtype == "bfloat16" else dtype).transpose(2, 0, 1)
    assert np.array_equal(pixels(Tensor(values[None], device, dtype, grad)), array)


@pytest.mark.usefixtures("torch")
def test_a_batch_of_tensors_is_a_choice():
    text = refusal(Tensor(noise(4, 3, 8, 8)), "{batch}")
    assert text.endswith(" {batch[0]}.")


def test_a_tensor_is_known_by_what_it_can_do():
    """Whichever library it is of."""
    parts = {name: lambda self: self for name in ("detach", "cpu")}
    array = noise(5, 6, 3)
    thing = type("Variable", (), {**parts, "dtype": "uint8", "numpy": lambda self: array})()
    assert np.array_equal(pixels(thing), array)


def test_without_torch_a_tensor_is_any_array():
    assert "torch" not in sys.modules
    assert np.array_equal(pixels(Tensor(noise(4, 5))), noise(4, 5))


# matplotlib


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def plotted(count=1, **options):
    figure, axes = plt.subplots(1, count, **options)
    for part in np.ravel(axes):
        part.plot([0, 1, 4])
        part.set_title("fox")
    return figure, axes


def saved(figure, **options):
    out = io.BytesIO()
    figure.savefig(out, format="png", **options)
    image = Image.open(out)
    return np.asarray(image.convert("RGB"))


def state(figure):
    return (
        figure.canvas,
        figure.dpi,
        tuple(figure.get_size_inches()),
        figure.get_facecolor(),
        [tuple(axes.get_position().bounds) for axes in figure.axes],
        plt.get_fignums(),
        plt.gcf().number,
        plt.gca(),
        dict(mpl.rcParams),
    )


@pytest.mark.parametrize("rc", [{}, {"savefig.bbox": "tight", "savefig.dpi": 30, "savefig.facecolor": "red"}])
def test_a_figure_is_drawn_as_it_is_and_not_changed(rc):
    other, _ = plotted()
    figure, _ = plotted(2, figsize=(4, 3), dpi=50, facecolor="#ddeeff")
    wanted = saved(figure)
    plt.figure(other.number)
    with mpl.rc_context({**rc, "savefig.transparent": bool(rc)}):
        before = state(figure)
        shown = pixels(figure)
        assert state(figure) == before
    assert shown.shape == (150, 200, 3)
    assert np.array_equal(shown, wanted)
    assert shown[0, 0].tolist() == [0xDD, 0xEE, 0xFF]


def test_a_figure_s_bytes_name_no_version():
    encoded = encode_input(plotted()[0])
    assert b"atplotlib" not in encoded.data
    assert encoded.pixels == encode_input(plt.gcf()).pixels


def test_a_figure_without_pyplot_opens_no_window():
    figure = Figure(figsize=(4, 3), dpi=40, facecolor="none")
    figure.subplots().plot([1, 2])
    canvas = figure.canvas
    image = decoded(figure)
    assert (image.size, image.mode) == ((160, 120), "RGBA")
    assert image.getpixel((0, 0))[3] == 0
    assert figure.canvas is canvas
    assert plt.get_fignums() == []


def test_what_stands_outside_the_frame_belongs_to_the_image():
    figure, axes = plotted(figsize=(4, 3), dpi=50)
    frame = pixels(figure).shape[:2]
    axes.text(1.5, 0.5, "NOTE", color="#ff0000", fontsize=30, transform=axes.transAxes)
    for part in (figure, axes):
        height, width = pixels(part).shape[:2]
        assert (height, width > frame[1]) == (frame[0], True)
        red = pixels(part)[:, frame[1] :].reshape(-1, 3)
        assert (red == (255, 0, 0)).all(axis=1).any()


def test_an_empty_figure_is_its_frame():
    assert decoded(plt.figure(figsize=(2, 1), dpi=40)).size == (80, 40)


def test_a_closed_figure_is_still_a_image():
    figure, _ = plotted()
    plt.close(figure)
    assert decoded(figure).size == (640, 480)
    assert plt.get_fignums() == []


def test_axes_alone_are_their_figure():
    figure, axes = plotted()
    assert np.array_equal(pixels(axes), saved(figure))
    assert np.array_equal(pixels(axes.imshow(noise(4, 4))), saved(figure))
    axes.twinx()
    assert np.array_equal(pixels(axes), saved(figure))


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_one_of_several_axes_is_its_own_box(layout):
    figure, (left, right) = plotted(2, layout=layout)
    left.set_facecolor("red")
    right.set_facecolor("blue")
    shown = decoded(left)
    inches = left.get_tightbbox().transformed(figure.dpi_scale_trans.inverted())
    if layout != "tight":  # which lands elsewhere by a fraction of a pixel at each drawing
        assert np.array_equal(np.asarray(shown), saved(figure, bbox_inches=inches))
    colours = {colour for _, colour in shown.getcolors(1 << 20)}
    assert (255, 0, 0) in colours
    assert (0, 0, 255) not in colours
    assert shown.width < 400


@pytest.mark.parametrize("layout", [None, "tight", "constrained", "compressed"])
def test_a_figure_is_the_same_image_each_time(layout):
    """Else the same edit would be paid for again."""
    figure, (left, _) = plotted(2, layout=layout)
    left.set_xlabel("n")
    whole = encode_input(figure).pixels
    part = encode_input(left).pixels
    for _ in range(3):
        saved(figure)
        places = [axes.get_position().bounds for axes in figure.axes]
        assert encode_input(figure).pixels == whole
        assert encode_input(left).pixels == part
        assert [axes.get_position().bounds for axes in figure.axes] == places


def test_a_twin_s_scale_belongs_to_the_image():
    _, (left, _) = plotted(2)
    alone = decoded(left).width
    twin = left.twinx()
    twin.plot([100, 1000])
    assert decoded(left).size == decoded(twin).size
    assert decoded(left).width > alone


def test_a_subfigure_is_its_own_box():
    figure = plt.figure(figsize=(4, 2), dpi=50)
    left, right = figure.subfigures(1, 2)
    left.set_facecolor("red")
    right.set_facecolor("blue")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for part, colour in ((left, (255, 0, 0)), (right, (0, 0, 255))):
            image = decoded(part)
            assert image.size == (100, 100)
            assert image.getcolors() == [(10_000, colour)]
        axes = left.subplots(1, 2)
        assert decoded(axes[0]).width < 60


@pytest.mark.parametrize("attribute", ["figure", "fig"])
def test_what_holds_a_figure(attribute):
    figure, axes = plotted(2)
    grid = types.SimpleNamespace(**{attribute: figure, "axes": axes})
    assert np.array_equal(pixels(grid), saved(figure))


def test_several_axes_are_a_choice():
    _, axes = plotted(4)
    assert refusal(axes, "{axes}").endswith(" {axes[0]}.")
    assert refusal(list(axes)).endswith(" x[0].")
    assert refusal(plotted()).endswith(" x[0].")
    grid = axes.reshape(2, 2)
    assert refusal(grid, "{axes}").endswith(" {axes[0][0]}.")


def test_a_figure_that_cannot_be_drawn():
    figure, axes = plotted()
    axes.set_title("$\\nonsense{$")
    text = refusal(figure)
    assert "ValueError" in text
    assert plt.gcf() is figure
