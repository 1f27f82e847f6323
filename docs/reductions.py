"""Bodies of reductions, each a fold along j: `linalg.generic` texts for the table in `proofs.md`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reduction:
    """A body: lines of MLIR that yield from the inputs %x, %w, .. and the accumulators %acc, %arg.

    `inputs` are names with the iterators of their maps, `x` is carried by j; all elements are of `type` but for those
    in `types`. `live` is how many of the results are used. `strict` is off where floats as they are take seconds.
    """

    title: str
    type: str
    body: str
    inputs: tuple[str, ...] = ("x: d0, d1",)
    outputs: tuple[str, ...] = ("y",)
    types: tuple[tuple[str, str], ...] = ()
    live: int | None = None
    strict: bool = True

    def text(self) -> str:
        """A function @f with the operation."""
        types = dict(self.types)
        names = [name.partition(":")[0] for name in self.inputs]
        maps = [name.partition(":")[2].strip() for name in self.inputs] + ["d0"] * len(self.outputs)
        elements = [types.get(name, self.type) for name in (*names, *self.outputs)]
        tensors = [
            f"tensor<{'?x' * len(map_.split(', '))}{element}>"
            for map_, element in zip(maps, elements, strict=True)
        ]
        operands = [*names, *self.outputs]
        typed = [f"%{name}: {tensor}" for name, tensor in zip(operands, tensors, strict=True)]
        scalars = [f"%{name}_: {element}" for name, element in zip(operands, elements, strict=True)]
        count = len(names)

        def group(part: slice) -> str:
            return f"{', '.join(f'%{name}' for name in operands[part])} : {', '.join(tensors[part])}"

        results = tensors[count:]
        several = f":{len(results)}" if len(results) > 1 else ""
        live = len(results) if self.live is None else self.live
        returned = [f"%r#{number}" if several else "%r" for number in range(live)]
        affine = ", ".join(f"affine_map<(d0, d1) -> ({map_})>" for map_ in maps)
        body = (
            self.body.strip()
            if "yield" in self.body
            else f"{self.body.strip()}\n linalg.yield %r : {elements[count]}"
        )
        made = f"({', '.join(results)})" if several else results[0]
        return (
            f"func.func @f({', '.join(typed)}) -> ({', '.join(results[:live])}) {{\n"
            f'%r{several} = linalg.generic {{indexing_maps = [{affine}], iterator_types = ["parallel", "reduction"]}}\n'
            f"ins({group(slice(count))}) outs({group(slice(count, None))}) {{\n^bb0({', '.join(scalars)}):\n"
            f"{body}\n}} -> {made}\n"
            f"return {', '.join(returned)} : {', '.join(results[:live])}\n}}\n"
        )


def one(operation: str, type_: str = "f32") -> str:
    """A body of one operation on the accumulator and x."""
    return f"%r = {operation} %y_, %x_ : {type_}"


XW = ("x: d0, d1", "w: d1")
ARGMAX = """
  %i = linalg.index 1 : index
  %n = arith.index_cast %i : index to i64
  %c = arith.cmpf ogt, %x_, %y_ : f32
  %m = arith.select %c, %x_, %y_ : f32
  %a = arith.select %c, %n, %at_ : i64
  linalg.yield %m, %a : f32, i64"""
ARGMAX_TIES = """
  %m = arith.maximumf %x_, %y_ : f32
  %more = arith.cmpf ogt, %x_, %y_ : f32
  %same = arith.cmpf oeq, %x_, %y_ : f32
  %low = arith.cmpi slt, %p_, %at_ : i64
  %tie = arith.andi %same, %low : i1
  %take = arith.ori %more, %tie : i1
  %a = arith.select %take, %p_, %at_ : i64
  linalg.yield %m, %a : f32, i64"""
RELU = """
  %zero = arith.constant 0.0 : f32
  %c = arith.cmpf ugt, %x_, %zero : f32
  %h = arith.select %c, %x_, %zero : f32"""

REDUCTIONS = (
    Reduction("sum", "f32", one("arith.addf")),
    Reduction("sum of bytes, which wraps", "i8", one("arith.addi", "i8")),
    Reduction("sum of products", "f32", "%p = arith.mulf %x_, %w_ : f32\n%r = arith.addf %y_, %p : f32", XW),
    Reduction(
        "sum of products in 16 bits",
        "bf16",
        "%a = arith.extf %y_ : bf16 to f32\n%b = arith.extf %x_ : bf16 to f32\n%s = arith.addf %a, %b : f32\n"
        "%r = arith.truncf %s : f32 to bf16",
    ),
    Reduction("product", "f32", one("arith.mulf")),
    Reduction("product", "i32", one("arith.muli", "i32")),
    Reduction("maximum", "f32", one("arith.maximumf")),
    Reduction("minimum", "f32", one("arith.minimumf")),
    Reduction("maximum of the numbers among NaN", "f32", one("arith.maxnumf")),
    Reduction("maximum", "i32", one("arith.maxsi", "i32")),
    Reduction("minimum without sign", "i32", one("arith.minui", "i32")),
    Reduction("all", "i1", one("arith.andi", "i1")),
    Reduction("any", "i1", one("arith.ori", "i1")),
    Reduction("parity", "i1", one("arith.xori", "i1")),
    Reduction(
        "maximum by a comparison",
        "f32",
        "%c = arith.cmpf ogt, %x_, %y_ : f32\n%r = arith.select %c, %x_, %y_ : f32",
    ),
    Reduction(
        "maximum by a comparison that NaN passes",
        "f32",
        "%c = arith.cmpf ugt, %x_, %y_ : f32\n%r = arith.select %c, %x_, %y_ : f32",
    ),
    Reduction(
        "sum of exp",
        "f32",
        "%d = arith.subf %x_, %m_ : f32\n%e = math.exp %d : f32\n%r = arith.addf %y_, %e : f32",
        ("x: d0, d1", "m: d0"),
    ),
    Reduction(
        "sum of squared differences",
        "f32",
        "%d = arith.subf %x_, %m_ : f32\n%q = arith.mulf %d, %d : f32\n%r = arith.addf %y_, %q : f32",
        ("x: d0, d1", "m: d0"),
    ),
    Reduction(
        "sum and sum of squares",
        "f32",
        "%q = arith.mulf %x_, %x_ : f32\n%s = arith.addf %y_, %x_ : f32\n%t = arith.addf %z_, %q : f32\n"
        "linalg.yield %s, %t : f32, f32",
        outputs=("y", "z"),
    ),
    Reduction(
        "relu, then product",
        "f32",
        f"{RELU}\n%p = arith.mulf %h, %w_ : f32\n%r = arith.addf %y_, %p : f32",
        XW,
    ),
    Reduction(
        "bias, relu, then product",
        "f32",
        RELU.replace("%x_", "%s").replace("\n  %zero", "\n  %s = arith.addf %x_, %b_ : f32\n  %zero", 1)
        + "\n%p = arith.mulf %h, %w_ : f32\n%r = arith.addf %y_, %p : f32",
        ("x: d0, d1", "b: d1", "w: d1"),
        strict=False,
    ),
    Reduction(
        "product where a mask is set",
        "f32",
        "%zero = arith.constant 0.0 : f32\n%k = arith.select %m_, %x_, %zero : f32\n"
        "%p = arith.mulf %k, %w_ : f32\n%r = arith.addf %y_, %p : f32",
        ("m: d1", "x: d0, d1", "w: d1"),
        types=(("m", "i1"),),
    ),
    Reduction("difference from the accumulator", "f32", one("arith.subf")),
    Reduction("difference from the element", "f32", "%r = arith.subf %x_, %y_ : f32"),
    Reduction("quotient", "f32", one("arith.divf")),
    Reduction(
        "polynomial by Horner",
        "f32",
        "%two = arith.constant 2.0 : f32\n%d = arith.mulf %y_, %two : f32\n%r = arith.addf %d, %x_ : f32",
    ),
    Reduction(
        "running mean of two",
        "f32",
        "%half = arith.constant 0.5 : f32\n%s = arith.addf %y_, %x_ : f32\n%r = arith.mulf %s, %half : f32",
    ),
    Reduction("last", "f32", "%r = arith.addf %x_, %x_ : f32"),
    Reduction("maximum and its position", "f32", ARGMAX, outputs=("y", "at"), types=(("at", "i64"),)),
    Reduction(
        "maximum, its position unused", "f32", ARGMAX, outputs=("y", "at"), types=(("at", "i64"),), live=1
    ),
    Reduction(
        "maximum and its position p, the lower of equals",
        "f32",
        ARGMAX_TIES,
        ("x: d0, d1", "p: d1"),
        ("y", "at"),
        types=(("p", "i64"), ("at", "i64")),
    ),
    Reduction(
        "sum by position",
        "i64",
        "%i = linalg.index 1 : index\n%n = arith.index_cast %i : index to i64\n%p = arith.muli %n, %x_ : i64\n"
        "%r = arith.addi %y_, %p : i64",
    ),
)
