"""Where an operation comes from, as `file:line:col` for messages."""

from pit_mlir.bindings import ir


def location_text(location: ir.Location) -> str:
    """The first file position in `location`, looking through fused, call-site and name locations.

    Fused locations give their first part with a position, a call site its callee (the innermost frame). Without
    any position it is the name of a name location, else `<unknown>:0`, as MLIR prints it.
    """
    # The location of a diagnostic comes as a plain `Location`; the way through its attribute gives the real class.
    exact = ir.Location.from_attr(location.attr, location.context)
    return _position(exact) or _name(exact) or "<unknown>:0"


def _position(location: ir.Location) -> str | None:
    if isinstance(location, ir.FileLineColLoc):
        return f"{location.filename}:{location.start_line}:{location.start_col}"
    return next(filter(None, map(_position, _parts(location))), None)


def _name(location: ir.Location) -> str | None:
    if isinstance(location, ir.NameLoc):
        return f'"{location.name_str}"'
    return next(filter(None, map(_name, _parts(location))), None)


def _parts(location: ir.Location) -> list[ir.Location]:
    if isinstance(location, ir.FusedLoc):
        return list(location.locations)
    if isinstance(location, ir.CallSiteLoc):
        return [location.callee, location.caller]
    if isinstance(location, ir.NameLoc):
        return [location.child_loc]
    return []
