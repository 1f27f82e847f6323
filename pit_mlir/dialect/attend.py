"""`pit.attend`: attention as one operation, ragged in queries and keys where an index is given."""

from collections.abc import Callable, Sequence
from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.block_mask import BlockMaskOp, split_operands
from pit_mlir.dialect.element import element, elements, verify_elements
from pit_mlir.dialect.generic import affine_maps, verify_body, verify_map
from pit_mlir.dialect.group import group_size
from pit_mlir.dialect.pit import IndexType, PitOperation, int_array, integer, require, require_dims
from pit_mlir.dialect.structured import projection
from pit_mlir.dialect.yield_ import yield_


class AttendOp(PitOperation, name="attend", traits=[ext.Pure]):
    """Scores, softmax over the keys, weighted sum of the values; no tensor of scores exists.

    The iterators are `batch` batch iterators, then q (queries), k (keys), d (the width of a score) and e (the
    width of a value). `indexing_maps` gives the maps of query, key, value and init, each a selection of
    iterators: query over batch, q, d; key over batch, k, d; value over batch, k, e; init over batch, q, e. The
    body gets the score `sum_d query * key` in f32 (f64 where the query is f64), reads masks and biases over
    batch, q, k by `pit.element`, and yields the score that enters the softmax. The result has the type of `init`,
    whose values are not read.

        out[.., q, e] = sum_k softmax_k(body(sum_d query[.., q, d] * key[.., k, d])) * value[.., k, e]

    A row whose scores are all -inf gives NaN, as the dense operators do; with the unit attribute `guarded` it gives
    0, as torch's scaled dot product attention does.

    With an index (at most one) queries and keys range over the entries of the segment that the batch iterators
    `segments` select; a segment without entries computes nothing, and other rows of a result that is not compact
    are 0. `compact` numbers the operands (query 0, key 1, value 2, init 3) that hold rows: one dimension of rows,
    which the map writes as q (query, init) or k (key, value), stands in place of the segments and the axis.
    Elements are never compact: they are read at the coordinates of the entries.

    `keys`, batch iterators, says that a second index (or the only one) is there, made by `pit.block_mask` over these
    iterators, queries and keys: a block of queries looks at the listed blocks of keys alone. The scores of the others
    count as -inf, which they must be; with the unit attribute `lowest` they may also be finite numbers of at most
    -1e30, and a row that has no larger score gets the keys of all blocks, as the dense operators give it.

    ```mlir
    %o = "pit.attend"(%q, %k, %v, %init, %I) ({
    ^bb0(%s: f32):
      %m = "pit.element"(%mask) {map = affine_map<(b, h, q, k, d, e) -> (b, k)>, compact = false}
          : (tensor<16x128xf32>) -> f32
      %y = arith.addf %s, %m : f32
      "pit.yield"(%y) : (f32) -> ()
    }) {batch = 2 : i64, segments = array<i64: 0>, compact = array<i64: 0, 1, 2, 3>,
        indexing_maps = [affine_map<(b, h, q, k, d, e) -> (q, h, d)>, affine_map<(b, h, q, k, d, e) -> (k, h, d)>,
                         affine_map<(b, h, q, k, d, e) -> (k, h, e)>, affine_map<(b, h, q, k, d, e) -> (q, h, e)>]}
        : (tensor<?x12x64xf32>, tensor<?x12x64xf32>, tensor<?x12x64xf32>, tensor<?x12x64xf32>, !pit.index)
        -> tensor<?x12x64xf32>
    ```
    """

    query: ext.Operand[Any]
    key: ext.Operand[Any]
    value: ext.Operand[Any]
    init: ext.Operand[Any]
    index: Sequence[ext.Operand[Any]]
    result: ext.Result[Any]
    indexing_maps: Any
    batch: Any
    segments: Any
    compact: Any
    body: ext.Region

    def verify_op(self) -> None:
        """Each map selects the iterators its operand may carry; the index fits `segments`; the body fits."""
        count = len(self.operation.operands)
        require(
            count in (4, 5, 6),
            "takes query, key, value, init and at most two indices, got {} operands",
            count,
        )
        batch = integer(self, "batch")
        require(batch >= 0, "attribute 'batch' = {} must not be negative", batch)
        maps = affine_maps(self, 4)
        segments, compact = int_array(self, "segments"), int_array(self, "compact")
        require_dims("segments", segments, batch)
        require_dims("compact", compact, 4)
        self.verify_rows(segments, compact)
        self.verify_keys(batch)
        q, k, d, e = range(batch, batch + 4)
        operands = list(self.operation.operands)
        for number, carried in enumerate(((q, d), (k, d), (k, e), (q, e))):
            verify_map(operands[number].type, maps[number], batch + 4)
            verify_carried(maps[number], carried, batch, segments if number in compact else [])
        result, init = self.operation.results[0].type, operands[3].type
        require(result == init, "result {} must have the type of init {}", result, init)
        score = score_type(operands[0].type)
        verify_body(self.operation.regions[0], [score], [score])
        self.verify_body_elements(batch)
        for name in ("guarded", "lowest"):
            unit = self.operation.attributes.get(name)
            require(
                unit is None or isinstance(unit, ir.UnitAttr),
                f"attribute '{name}' must be a unit, got {{}}",
                unit,
            )

    def verify_body_elements(self, batch: int) -> None:
        """What the body reads lies over batch, q and k, and is not compact."""
        block = self.operation.regions[0].blocks[0]
        verify_elements(block, batch + 4, [])
        for op in elements(block):
            positions = projection(op.operation.attributes["map"].value)
            require(
                positions is not None and all(position < batch + 2 for position in positions),
                "reads {} outside batch, q and k: {}",
                op.source.type,
                op.operation.attributes["map"],
            )

    def verify_rows(self, segments: Sequence[int], compact: Sequence[int]) -> None:
        """At most one index of rows, over the segments and one axis; without one nothing is ragged."""
        rows, _ = indices_of(self.operation)
        if rows is None:
            require(
                not segments and not compact,
                "has segments {} and compact operands {} but no index",
                list(segments),
                list(compact),
            )
            return
        require(isinstance(rows.type, IndexType), "index must be !pit.index, got {}", rows.type)
        size = group_size(rows)
        require(
            size is None or size == len(segments) + 1,
            "index over {} coordinates does not fit {} segment iterators and one axis",
            size,
            len(segments),
        )

    def verify_keys(self, batch: int) -> None:
        """An index of blocks of keys where `keys` says so, over these iterators, queries and keys."""
        _, keys = indices_of(self.operation)
        if keys is None:
            require(
                "lowest" not in self.operation.attributes, "has attribute 'lowest' but no attribute 'keys'"
            )
            return
        iterators = int_array(self, "keys")
        require_dims("keys", iterators, batch)
        require(isinstance(keys.type, IndexType), "index must be !pit.index, got {}", keys.type)
        maker = keys.owner
        if isinstance(maker, ir.Block):
            return
        made = len(split_operands(maker.operation)[0]) if isinstance(maker.opview, BlockMaskOp) else None
        require(
            made == len(iterators) + 2,
            "index of keys made by {} over {} iterators does not fit {} and queries and keys",
            maker.name,
            made,
            iterators,
        )


def indices_of(op: ir.Operation) -> tuple[ir.Value | None, ir.Value | None]:
    """The index of rows and the index of blocks of keys of a `pit.attend`, None where there is none."""
    indices = list(op.operands)[4:]
    keys = indices.pop() if "keys" in op.attributes and indices else None
    return (indices[0] if indices else None), keys


def verify_carried(map_: ir.AffineMap, carried: Sequence[int], batch: int, rows: Sequence[int]) -> None:
    """The map selects what it must (`carried`) and batch iterators, none twice; not the segments of `rows`."""
    positions = projection(map_)
    require(positions is not None, "map {} must select iterators", map_)
    given = list(positions or ())
    require(len(set(given)) == len(given), "map {} repeats an iterator", map_)
    missing = [position for position in carried if position not in given]
    wrong = [p for p in given if (p >= batch and p not in carried) or p in rows]
    require(not missing and not wrong, "map {} lacks iterators {} and must not name {}", map_, missing, wrong)


def score_type(query: ir.Type) -> ir.Type:
    """The type scores are computed in: f64 where the query is f64, else f32."""
    element_type = ir.RankedTensorType(query).element_type
    return ir.F64Type.get() if isinstance(element_type, ir.F64Type) else ir.F32Type.get()


def attend(
    query: ir.Value,
    key: ir.Value,
    value: ir.Value,
    init: ir.Value,
    maps: Sequence[ir.AffineMap],
    *,
    batch: int,
    extras: Sequence[tuple[ir.Value, ir.AffineMap]] = (),
    index: ir.Value | None = None,
    segments: Sequence[int] = (),
    compact: Sequence[int] = (),
    keys: tuple[ir.Value, Sequence[int]] | None = None,
    guarded: bool = False,
    body: Callable[..., ir.Value],
) -> AttendOp:
    """A `pit.attend` at the insertion point; `maps` are those of query, key, value and init.

    `keys` is an index of blocks of keys, and the batch iterators it is over.
    `body` gets the score and one scalar for each of `extras`, and returns the score that enters the softmax.
    """
    op = AttendOp(
        query,
        key,
        value,
        init,
        [*([] if index is None else [index]), *([] if keys is None else [keys[0]])],
        init.type,
        ir.ArrayAttr.get([ir.AffineMapAttr.get(map_) for map_ in maps]),
        ir.IntegerAttr.get(ir.IntegerType.get_signless(64), batch),
        ir.DenseI64ArrayAttr.get(list(segments)),
        ir.DenseI64ArrayAttr.get(list(compact)),
    )
    if keys is not None:
        op.operation.attributes["keys"] = ir.DenseI64ArrayAttr.get(list(keys[1]))
    if guarded:
        op.operation.attributes["guarded"] = ir.UnitAttr.get()
    block = op.operation.regions[0].blocks.append(score_type(query.type))
    with ir.InsertionPoint(block):
        scalars = [element(source, map_) for source, map_ in extras]
        yield_([body(block.arguments[0], *scalars)])
    return op
