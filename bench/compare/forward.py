"""forward - the measured floor: bench/forward.c, which looks at nothing."""


def absent(build):
    return ""


def start(box, name, address, options):
    box.start(name, [box.build + "/bench/forward", "--listen", address, "--to", box.upstream],
              address)
