"""The windows on the X screen, closing one as its frame's button would, and the keyboard.

screen.py list        one line for each visible window with a title: its number, a space, its title
screen.py focus       the title of the window that has the keyboard
screen.py close N     asks the program to close window N
screen.py pixels N C  how many pixels of window N have the colour C, as RRGGBB
screen.py height N    how many pixels window N is high
screen.py picture N F writes a picture of window N into the PNG file F
screen.py press K...  presses keys one after the other, by their names in X; those joined by + are held together
"""

import ctypes
import ctypes.util
import struct
import sys
import zlib
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p

CLIENT_MESSAGE = 33
IS_VIEWABLE = 2


class Attributes(ctypes.Structure):
    _fields_ = [
        *[(name, c_int) for name in ("x", "y", "width", "height", "border_width", "depth")],
        ("visual", c_void_p),
        ("root", c_ulong),
        *[(name, c_int) for name in ("window_class", "bit_gravity", "window_gravity", "backing_store")],
        *[(name, c_ulong) for name in ("backing_planes", "backing_pixel")],
        ("save_under", c_int),
        ("colormap", c_ulong),
        ("map_installed", c_int),
        ("map_state", c_int),
        ("rest", c_long * 16),
    ]


class ClientMessage(ctypes.Structure):
    _fields_ = [
        ("type", c_int),
        ("serial", c_ulong),
        ("send_event", c_int),
        ("display", c_void_p),
        ("window", c_ulong),
        ("message_type", c_ulong),
        ("format", c_int),
        ("data", c_long * 5),
        ("rest", c_long * 24),
    ]


x11 = ctypes.CDLL(ctypes.util.find_library("X11") or "libX11.so.6")
xtest = ctypes.CDLL(ctypes.util.find_library("Xtst") or "libXtst.so.6")
x11.XOpenDisplay.restype = c_void_p
x11.XDefaultRootWindow.restype = c_ulong
x11.XInternAtom.restype = c_ulong
# A window may go while it is asked about; that is no reason to end.
ignore = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)(lambda *_: 0)
x11.XSetErrorHandler(ignore)
display = c_void_p(x11.XOpenDisplay(None))
if not display:
    sys.exit("there is no display")


def atom(name):
    return x11.XInternAtom(display, name, 0)


def windows(above=None):
    """Whose title is set, wherever they are: a window manager puts each into a frame of its own."""
    root, parent, count, listed = c_ulong(), c_ulong(), c_uint(), POINTER(c_ulong)()
    above = x11.XDefaultRootWindow(display) if above is None else above
    x11.XQueryTree(display, c_ulong(above), byref(root), byref(parent), byref(listed), byref(count))
    for window in [listed[index] for index in range(count.value)]:
        if title(window):
            yield window
        else:
            yield from windows(window)


def title(window):
    name = c_char_p()
    x11.XFetchName(display, c_ulong(window), byref(name))
    return (name.value or b"").decode("utf-8", "replace")


def is_visible(window):
    # Toolkits keep invisible helpers of a few pixels under the program's name.
    attributes = Attributes()
    known = x11.XGetWindowAttributes(display, c_ulong(window), byref(attributes))
    return known and attributes.map_state == IS_VIEWABLE and attributes.width > 50


class Image(ctypes.Structure):
    _fields_ = [
        *[(name, c_int) for name in ("width", "height", "xoffset", "format")],
        ("data", c_void_p),
        *[(name, c_int) for name in ("byte_order", "bitmap_unit", "bitmap_bit_order", "bitmap_pad", "depth")],
        *[(name, c_int) for name in ("bytes_per_line", "bits_per_pixel")],
    ]


def image_of(window):
    """Width, height and the pixels of a window; the server sends blue, green, red and a spare byte for each."""
    attributes = Attributes()
    if not x11.XGetWindowAttributes(display, c_ulong(window), byref(attributes)):
        return 0, 0, b""
    size = c_uint(attributes.width), c_uint(attributes.height)
    x11.XGetImage.restype = POINTER(Image)
    image = x11.XGetImage(display, c_ulong(window), 0, 0, *size, c_ulong(0xFFFFFFFF), 2)
    if not image:
        return 0, 0, b""
    image = image.contents
    return image.width, image.height, ctypes.string_at(image.data, image.bytes_per_line * image.height)


def pixels(window, colour):
    _, _, data = image_of(window)
    wanted = bytes.fromhex(colour)[::-1]
    return sum(data[at : at + 3] == wanted for at in range(0, len(data), 4))


def picture(window, file):
    width, height, data = image_of(window)
    rgb = bytearray(width * height * 3)
    rgb[0::3], rgb[1::3], rgb[2::3] = data[2::4], data[1::4], data[0::4]
    rows = b"".join(b"\0" + rgb[row * width * 3 : (row + 1) * width * 3] for row in range(height))

    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with open(file, "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header))
        out.write(chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def focus():
    window, how = c_ulong(), c_int()
    x11.XGetInputFocus(display, byref(window), byref(how))
    # The keyboard belongs to the window with the title, or to a part of it.
    root, parent, count, listed = c_ulong(), c_ulong(), c_uint(), POINTER(c_ulong)()
    while window.value > 1 and not title(window.value):
        if not x11.XQueryTree(display, window, byref(root), byref(parent), byref(listed), byref(count)):
            return ""
        window = c_ulong(parent.value)
    return title(window.value) if window.value > 1 else ""


def press(chords):
    x11.XStringToKeysym.restype = c_ulong
    for chord in chords:
        names = chord.split("+")
        codes = [x11.XKeysymToKeycode(display, c_ulong(x11.XStringToKeysym(name.encode()))) for name in names]
        if not all(codes):
            sys.exit(f"there is no key for {chord}")
        for code in codes:
            xtest.XTestFakeKeyEvent(display, code, 1, c_ulong(0))
        for code in reversed(codes):
            xtest.XTestFakeKeyEvent(display, code, 0, c_ulong(0))
    x11.XSync(display, 0)


def close(window):
    message = ClientMessage(type=CLIENT_MESSAGE, window=window, format=32)
    message.message_type = atom(b"WM_PROTOCOLS")
    message.data[0] = atom(b"WM_DELETE_WINDOW")
    x11.XSendEvent(display, c_ulong(window), 0, c_long(0), byref(message))
    x11.XSync(display, 0)


match sys.argv[1:]:
    case ["list"]:
        for window in windows():
            if title(window) and is_visible(window):
                print(window, title(window))
    case ["focus"]:
        print(focus())
    case ["close", number]:
        close(int(number))
    case ["pixels", number, colour]:
        print(pixels(int(number), colour))
    case ["height", number]:
        print(image_of(int(number))[1])
    case ["picture", number, file]:
        picture(int(number), file)
    case ["press", *chords]:
        press(chords)
    case _:
        sys.exit(__doc__)
