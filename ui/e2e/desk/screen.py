"""The windows on the X screen, and closing one as its frame's button would: there is no window manager here.

screen.py list        one line for each visible window with a title: its number, a space, its title
screen.py close N     asks the program to close window N
screen.py pixels N C  how many pixels of window N have the colour C, as RRGGBB
"""

import ctypes
import ctypes.util
import sys
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


def windows():
    root, parent, count, listed = c_ulong(), c_ulong(), c_uint(), POINTER(c_ulong)()
    screen = c_ulong(x11.XDefaultRootWindow(display))
    x11.XQueryTree(display, screen, byref(root), byref(parent), byref(listed), byref(count))
    return [listed[index] for index in range(count.value)]


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


def pixels(window, colour):
    attributes = Attributes()
    if not x11.XGetWindowAttributes(display, c_ulong(window), byref(attributes)):
        return 0
    size = c_uint(attributes.width), c_uint(attributes.height)
    x11.XGetImage.restype = POINTER(Image)
    image = x11.XGetImage(display, c_ulong(window), 0, 0, *size, c_ulong(0xFFFFFFFF), 2)
    if not image:
        return 0
    # The server sends blue, green, red and a spare byte for each pixel.
    image = image.contents
    data = ctypes.string_at(image.data, image.bytes_per_line * image.height)
    wanted = bytes.fromhex(colour)[::-1]
    return sum(data[at : at + 3] == wanted for at in range(0, len(data), 4))


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
    case ["close", number]:
        close(int(number))
    case ["pixels", number, colour]:
        print(pixels(int(number), colour))
    case _:
        sys.exit(__doc__)
