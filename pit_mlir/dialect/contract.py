"""`pit.contract`: a contraction with what is read on its way in and done on its way out."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.element import elements, verify_elements, verify_rows
from pit_mlir.dialect.generic import affine_maps, boolean, iterator_count, verify_map
from pit_mlir.dialect.group import verify_iterators
from pit_mlir.dialect.pit import IndexType, PitOperation, int_array, require
from pit_mlir.dialect.structured import Iterator, iterator_attribute, projection
from pit_mlir.dialect.yield_ import yield_, yielded

COMBINES = ("store", "add")


class ContractOp(PitOperation, name="contract", traits=[ext.Pure]):
    """`result[..] = epilogue(sum over the reduction iterators of f * g)`, with f and g the factors of a product.

    The iterators, the index and its `group` are those of `pit.generic`. The region `product` takes nothing and
    yields the two factors, of one type, in which the sum is taken; it reads operands by `pit.element`, and no
    factor needs an element of the other. It may yield more second factors: the products of *siblings*, which share
    the first one. The region `epilogue` gets the sum of each product and yields an element of the result;
    it may read elements over parallel iterators (bias, residual, what the sum is added to). `indexing_maps` holds
    the map of `init`, which has the type of the result.

    With an index, the sum ranges over the listed points only. Where the group holds parallel iterators alone, an
    element of the result that no listed point reaches is that of `init` (which is not read otherwise). With `compact`
    true the result holds rows, as in `pit.generic`; an element that is not compact is read at the coordinates of
    the row: gather and scatter are part of the contraction. `combine = "add"` adds to `init` instead of storing,
    as often as a place is listed.

    Further indices are *alternatives*: each lists, for groups of its own, all points at which the product is not 0,
    so that the result is the same whichever is followed, and whether one is followed at all: what is cheapest at the
    counts of the call. The optional attribute `alternatives` has a dictionary with `group` and `block` for each index
    after the first, and `always` says that the only index is followed however long it is.

    `block` gives for each segment of the index how many coordinates share it. The optional attribute `tile`,
    `array<i64: rows, vectors, depth>`, is the shape of the register tile and of a step along the reduction;
    without it the code generator takes the host's.

    ```mlir
    %y = "pit.contract"(%init) ({
      %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<?x64xf32>) -> f32
      %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<32x64xf32>) -> f32
      "pit.yield"(%a, %b) : (f32, f32) -> ()
    }, {
    ^bb0(%sum: f32):
      %c = "pit.element"(%bias) {map = affine_map<(m, n, k) -> (n)>, compact = false} : (tensor<32xf32>) -> f32
      %s = arith.addf %sum, %c : f32
      "pit.yield"(%s) : (f32) -> ()
    }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
        iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                          #linalg.iterator_type<reduction>],
        group = array<i64>, block = array<i64>, compact = false, combine = "store"}
        : (tensor<?x32xf32>) -> tensor<?x32xf32>
    ```
    """

    init: ext.Operand[Any]
    index: Sequence[ext.Operand[Any]]
    result: ext.Result[Any]
    indexing_maps: Any
    iterator_types: Any
    group: Any
    block: Any
    compact: Any
    combine: Any
    product: ext.Region
    epilogue: ext.Region

    def verify_op(self) -> None:
        """The map fits init and result, the group the index, the regions each other."""
        operands = list(self.operation.operands)
        require(len(operands) > 0, "takes init and indices, got no operand")
        iterators = iterator_count(self)
        map_ = affine_maps(self, 1)[0]
        init, result = operands[0].type, self.operation.results[0].type
        verify_map(init, map_, iterators)
        require(projection(map_) is not None, "map {} of the result must select iterators", map_)
        require(result == init, "result {} must have the type of init {}", result, init)
        group = self.verify_index(operands[1:], iterators)
        if boolean(self, "compact"):
            verify_rows(map_, group)
        attributes = self.operation.attributes
        require("combine" in attributes, "requires attribute 'combine'")
        combine = attributes["combine"]
        known = isinstance(combine, ir.StringAttr) and combine.value in COMBINES
        require(known, "attribute 'combine' must be one of {}, got {}", list(COMBINES), combine)
        self.verify_alternatives(operands[1:], iterators)
        self.verify_tile()
        self.verify_regions(iterators, group, ir.RankedTensorType(result).element_type)

    def verify_index(self, indices: Sequence[ir.Value], iterators: int) -> list[int]:
        """The group lies in the iterators and fits the index and `block`; returns the group."""
        group, block = int_array(self, "group"), int_array(self, "block")
        if not indices:
            require(not group and not block, "has group {} and block {} but no index", group, block)
            return group
        verify_group(group, block, indices[0], iterators)
        return group

    def verify_alternatives(self, indices: Sequence[ir.Value], iterators: int) -> None:
        """Each index after the first has a group and a block; a contraction that is always sparse has one index."""
        attributes = self.operation.attributes
        given = attributes["alternatives"] if "alternatives" in attributes else []  # noqa: SIM401 has no get
        known = isinstance(given, ir.ArrayAttr | list) and all(
            isinstance(one, ir.DictAttr)
            and all(
                name in one and isinstance(one[name], ir.DenseI64ArrayAttr) for name in ("group", "block")
            )
            for one in given
        )
        require(known, "attribute 'alternatives' must hold a group and a block each, got {}", given)
        more = max(0, len(indices) - 1)
        require(len(given) == more, "has {} alternatives for {} further indices", len(given), more)
        for index, one in zip(indices[1:], given, strict=True):
            verify_group(list(one["group"]), list(one["block"]), index, iterators)
        if "always" in attributes:
            require(len(indices) == 1, "attribute 'always' asks for one index, got {}", len(indices))

    def verify_tile(self) -> None:
        """`tile`, where given, is three positive numbers."""
        if "tile" not in self.operation.attributes:
            return
        tile = int_array(self, "tile")
        require(
            len(tile) == 3 and all(size > 0 for size in tile),
            "attribute 'tile' = {} must be rows, vectors and depth, all positive",
            tile,
        )

    def verify_regions(self, iterators: int, group: Sequence[int], element: ir.Type) -> None:
        """`product` yields factors of one type, `epilogue` takes the sum of each product and yields `element`."""
        regions = self.operation.regions
        require(len(regions) == 2, "has regions product and epilogue, got {}", len(regions))
        for name, region in zip(("product", "epilogue"), regions, strict=True):
            require(len(list(region.blocks)) == 1, "region '{}' must be one block", name)
        product, epilogue = (region.blocks[0] for region in regions)
        factors = [value.type for value in yielded(product)]
        require(
            len(factors) >= 2 and len(set(factors)) == 1 and not list(product.arguments),
            "region 'product' takes nothing and yields two factors of one type or more, got {}",
            [str(t) for t in factors],
        )
        given = [argument.type for argument in epilogue.arguments]
        require(
            given == factors[1:],
            "region 'epilogue' takes {}, expected {}",
            [str(t) for t in given],
            [str(t) for t in factors[1:]],
        )
        values = [value.type for value in yielded(epilogue)]
        require(
            values == [element],
            "region 'epilogue' yields {}, expected ['{}']",
            [str(t) for t in values],
            element,
        )
        verify_elements(product, iterators, group)
        verify_elements(epilogue, iterators, group)
        self.verify_epilogue_elements(epilogue)

    def verify_epilogue_elements(self, epilogue: ir.Block) -> None:
        """What the epilogue reads lies over parallel iterators."""
        kinds = ["reduction" in str(kind) for kind in self.operation.attributes["iterator_types"]]
        for op in elements(epilogue):
            positions = projection(op.operation.attributes["map"].value)
            require(
                positions is not None and not any(kinds[position] for position in positions),
                "the epilogue reads {} along a reduction: {}",
                op.source.type,
                op.operation.attributes["map"],
            )


def verify_group(group: Sequence[int], block: Sequence[int], index: ir.Value, iterators: int) -> None:
    """`group` lies in the iterators and fits `index`, with a block for each of its segments."""
    require(isinstance(index.type, IndexType), "index must be !pit.index, got {}", index.type)
    verify_iterators(group, index, iterators)
    require(
        len(block) < max(1, len(group)) and all(size >= 0 for size in block),
        "attribute 'block' = {} must give a size that is not negative for each segment of group {}",
        block,
        group,
    )


def contract(
    init: ir.Value,
    map_: ir.AffineMap,
    iterators: Sequence[Iterator],
    *,
    product: Callable[[], Sequence[ir.Value]],
    epilogue: Callable[..., ir.Value],
    index: ir.Value | None = None,
    group: Sequence[int] = (),
    block: Sequence[int] = (),
    compact: bool = False,
    combine: Literal["store", "add"] = "store",
) -> ContractOp:
    """A `pit.contract` at the insertion point.

    `map_` is that of `init`. `product` builds the factors, `epilogue` what becomes of the sum of each product; both
    read operands with `element`.
    """
    op = ContractOp(
        init,
        [] if index is None else [index],
        init.type,
        ir.ArrayAttr.get([ir.AffineMapAttr.get(map_)]),
        iterator_attribute(iterators),
        ir.DenseI64ArrayAttr.get(list(group)),
        ir.DenseI64ArrayAttr.get(list(block)),
        ir.BoolAttr.get(compact),
        ir.StringAttr.get(combine),
    )
    first, second = op.operation.regions
    with ir.InsertionPoint(first.blocks.append()):
        factors = product()
        yield_(factors)
    block_ = second.blocks.append(*(factor.type for factor in factors[1:]))
    with ir.InsertionPoint(block_):
        yield_([epilogue(*block_.arguments)])
    return op
