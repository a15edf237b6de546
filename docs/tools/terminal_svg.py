#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A picture of what a command shows on a terminal.

Usage: terminal_svg.py [--columns N] [--lines N] [--prompt TEXT] COMMAND [ARGUMENT...] >picture.svg

The command runs on a pseudo-terminal of that width. Of what it writes, colours are kept and
bars are drawn as boxes, so that they look the same in every font.
"""
import argparse
import fcntl
import html
import os
import pty
import re
import struct
import sys
import termios

CELL_W, CELL_H, FONT = 8.4, 18, 14
MARGIN, BAR = 16, 30
BACKGROUND, FRAME, TEXT = "#1b1f27", "#2a303c", "#d7dbe3"
COLORS = {31: "#f0717b", 32: "#8ec07c", 33: "#e8b964", 36: "#6fc3d0"}
FAINT = "#8a93a3"


def run(command, columns):
    """The text that a command writes to a terminal of so many columns."""
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 100, columns, 0, 0))
        os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8", PERFHOOK_PAGER="")
        os.environ.pop("COLUMNS", None)
        os.environ.pop("NO_COLOR", None)
        os.execvp(command[0], command)
    out = b""
    while True:
        try:
            some = os.read(fd, 65536)
        except OSError:
            break
        if not some:
            break
        out += some
    os.waitpid(pid, 0)
    return out.decode("utf-8", "replace").replace("\r\n", "\n")


def runs(line, style):
    """The pieces of a line, each with its style, which is carried on from line to line."""
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        found = re.fullmatch(r"\x1b\[([0-9;]*)m", piece)
        if not found:
            if piece:
                yield piece, dict(style)
            continue
        for code in (int(c or 0) for c in found.group(1).split(";")):
            if code == 0:
                style.clear()
            elif code == 1:
                style["bold"] = True
            elif code == 2:
                style["faint"] = True
            elif code in COLORS:
                style["color"] = COLORS[code]


def draw(text, style, column, y):
    """SVG of one piece: bars as boxes, the rest as text."""
    color = style.get("color", FAINT if style.get("faint") else TEXT)
    weight = ' font-weight="bold"' if style.get("bold") else ""
    out = []
    for part in re.split("([\u2581-\u2588]+)", text):
        blank = len(part) - len(part.lstrip(" "))
        x = MARGIN + (column + blank) * CELL_W
        if part and "\u2581" <= part[0] <= "\u2588":
            for same in re.finditer(r"(.)\1*", part):
                height = CELL_H * (ord(same[1]) - 0x2580) / 8
                out.append(f'<rect x="{x + same.start() * CELL_W:.1f}" '
                           f'y="{y + CELL_H - height:.1f}" width="{len(same[0]) * CELL_W:.1f}" '
                           f'height="{height:.1f}" fill="{color}"/>')
        elif part.strip():
            shown = part.strip(" ").replace(" ", "\u00a0")
            out.append(f'<text x="{x:.1f}" y="{y + FONT:.1f}" fill="{color}"{weight} '
                       f'textLength="{len(shown) * CELL_W:.1f}">{html.escape(shown)}</text>')
        column += len(part)
    return "".join(out), column


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--lines", type=int, default=0, help="of the output; 0: all")
    parser.add_argument("--prompt", help="what is typed, if it is not the command")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()

    lines = run(options.command, options.columns).rstrip("\n").split("\n")
    if options.lines:
        lines = lines[:options.lines]
    lines.insert(0, "\x1b[32m$\x1b[0m " + (options.prompt or " ".join(options.command)))
    width = options.columns * CELL_W + 2 * MARGIN
    height = BAR + len(lines) * CELL_H + MARGIN
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
          f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{FONT}" '
          'style="white-space:pre">')
    print(f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>')
    print(f'<path d="M0 8a8 8 0 0 1 8-8h{width - 16:.0f}a8 8 0 0 1 8 8v14H0z" fill="{FRAME}"/>')
    for i, color in enumerate(("#f0717b", "#e8b964", "#8ec07c")):
        print(f'<circle cx="{16 + 18 * i}" cy="11" r="5" fill="{color}"/>')
    style = {}
    for number, line in enumerate(lines):
        column = 0
        for text, piece in runs(line, style):
            svg, column = draw(text, piece, column, BAR + number * CELL_H)
            sys.stdout.write(svg)
        print()
    print("</svg>")


if __name__ == "__main__":
    main()
