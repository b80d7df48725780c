"""plot.py - bars with spread, and ranges on a scale of powers of ten, as SVG: one file, no
library, readable on paper."""
from html import escape
import math

WIDTH, LEFT, RIGHT, TOP = 900, 190, 150, 74
BAR, GAP, GROUP = 15, 5, 30
COLORS = {"weir": "#1d5fa6", "weir+log": "#7fa8d1", "forward": "#8a949e", "haproxy": "#c4731f",
          "nginx": "#5b8f45", "direct": "#c9ced3"}
OTHER = "#8867a8"
STYLE = ("text{font:13px system-ui,'DejaVu Sans',sans-serif;fill:#222}.title{font-size:17px;"
         "font-weight:600}.note{font-size:12px;fill:#555}.group{font-weight:600}"
         ".axis{font-size:12px;fill:#555}")


def step_of(top):
    """A round distance of ticks, of which 4 to 8 fit below top."""
    step = 1.0
    while step * 8 < top:
        step *= 10
    while step * 8 > top * 10:
        step /= 10
    for part in (10, 5, 4, 2):
        if top / (step / part) <= 8:
            return step / part
    return step


def number(value):
    return "%.2f" % value if value < 10 else "%.1f" % value if value < 100 else "%.0f" % value


def bars(path, title, note, axis, groups):
    """Write a plot. groups: [(label, [(name, median, low, high, goal or None), ...]), ...]"""
    groups = [(label, rows) for label, rows in groups if rows]
    if not groups:
        return
    top = max(max(high, goal or 0) for _, rows in groups for _, _, _, high, goal in rows) * 1.05
    if top <= 0:
        return
    room = WIDTH - LEFT - RIGHT

    def x(value):
        return LEFT + max(value, 0) / top * room

    step, at, ticks = step_of(top), 0.0, []
    while at <= top:
        ticks.append((x(at), "%g" % at))
        at = round(at + step, 9)
    sheet(path, (title, note, axis), groups, ticks, lambda row, y: bar(row, y, x))


def sheet(path, words, groups, ticks, draw):
    """Title, note and axis (words), the scale's ticks [(place, text)], and each of the groups'
    rows as draw(row, y) has it."""
    title, note, axis = words
    height = TOP + sum(GROUP + len(rows) * (BAR + GAP) for _, rows in groups) + 56
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">'
           % (WIDTH, height, WIDTH, height), "<style>%s</style>" % STYLE,
           '<rect width="100%" height="100%" fill="#fdfdfb"/>',
           '<text class="title" x="20" y="30">%s</text>' % escape(title),
           '<text class="note" x="20" y="50">%s</text>' % escape(note)]
    bottom = height - 46
    for at, text in ticks:
        out.append('<path d="M%.1f %d V%d" stroke="#e2e2dc"/>' % (at, TOP - 8, bottom))
        out.append('<text class="axis" x="%.1f" y="%d" text-anchor="middle">%s</text>'
                   % (at, bottom + 16, text))
    out.append('<text class="axis" x="%.1f" y="%d" text-anchor="middle">%s</text>'
               % (LEFT + (WIDTH - LEFT - RIGHT) / 2, bottom + 36, escape(axis)))
    y = TOP
    for label, rows in groups:
        out.append('<text class="group" x="20" y="%d">%s</text>' % (y + 13, escape(label)))
        y += GROUP - 8
        for row in rows:
            out += draw(row, y)
            y += BAR + GAP
        y += 8
    with open(path, "w") as f:
        f.write("\n".join(out + ["</svg>", ""]))


def bar(row, y, x):
    """One bar: its name, its length, its range, the goal where there is one."""
    name, median, low, high, goal = row
    middle = y + BAR / 2
    out = ['<text x="%d" y="%.1f" text-anchor="end">%s</text>'
           % (LEFT - 10, middle + 4.5, escape(name)),
           '<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>'
           % (LEFT, y, x(median) - LEFT, BAR, COLORS.get(name, OTHER)),
           '<path d="M%.1f %.1f H%.1f M%.1f %.1f v8 M%.1f %.1f v8" stroke="#222"/>'
           % (x(low), middle, x(high), x(low), middle - 4, x(high), middle - 4)]
    text = number(median)
    if goal is not None:
        out.append('<path d="M%.1f %d v%d" stroke="#b3261e" stroke-width="2.5"/>'
                   % (x(goal), y - 2, BAR + 4))
        text += " (goal %s)" % number(goal)
    out.append('<text x="%.1f" y="%.1f">%s</text>'
               % (x(max(high, median, goal or 0)) + 8, middle + 4.5, text))
    return out


DECADES = (-1, 5)     # of the logarithmic scale: 0.1 to 100,000


def ranges(path, title, note, axis, groups):
    """Write a plot on a scale of powers of ten. groups: [(label, [(name, value, low, high, goal
    or None), ...]), ...]; what lies below the scale is drawn at its end."""
    room = WIDTH - LEFT - RIGHT

    def x(value):
        place = math.log10(max(value, 10.0 ** DECADES[0])) - DECADES[0]
        return LEFT + min(place / (DECADES[1] - DECADES[0]), 1) * room

    scale = [10.0 ** decade for decade in range(DECADES[0], DECADES[1] + 1)]
    sheet(path, (title, note, axis), groups, [(x(at), "{:,g}".format(at)) for at in scale],
          lambda row, y: span(row, y, x))


def span(row, y, x):
    """One range: its name, its value, how far it may be off, the goal where there is one."""
    name, value, low, high, goal = row
    middle = y + BAR / 2
    out = ['<text x="%d" y="%.1f" text-anchor="end">%s</text>'
           % (LEFT - 10, middle + 4.5, escape(name)),
           '<path d="M%.1f %.1f H%.1f" stroke="#7fa8d1" stroke-width="5"/>'
           % (x(low), middle, x(high)),
           '<circle cx="%.1f" cy="%.1f" r="4.5" fill="#1d5fa6"/>' % (x(value), middle)]
    if goal is not None:
        out.append('<path d="M%.1f %d v%d" stroke="#b3261e" stroke-width="2.5"/>'
                   % (x(goal), y - 2, BAR + 4))
    out.append('<text x="%.1f" y="%.1f">%s</text>'
               % (WIDTH - RIGHT + 12, middle + 4.5, "{:,.4g}".format(value)))
    return out
