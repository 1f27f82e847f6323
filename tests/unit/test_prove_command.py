"""`pit-mlir prove`: names of the file, options, errors, and how it behaves on a terminal and in a pipe."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.tools.pit_mlir import app
from pit_mlir.tools.source import Names, Source

PRODUCT = """\
func.func @product(%A: tensor<4x5xf32>, %B: tensor<5x?xf32>, %init: tensor<4x?xf32>) -> tensor<4x?xf32> {
  %C = linalg.matmul ins(%A, %B : tensor<4x5xf32>, tensor<5x?xf32>) outs(%init : tensor<4x?xf32>) -> tensor<4x?xf32>
  return %C : tensor<4x?xf32>
}
"""
SUMS = """\
func.func @sums(%x: tensor<4xf32>, %a: tensor<f32>) -> (tensor<f32>, tensor<f32>) {
  %s:2 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>, affine_map<(d0) -> ()>],
                         iterator_types = ["reduction"]}
      ins(%x : tensor<4xf32>) outs(%a, %a : tensor<f32>, tensor<f32>) {
  ^bb0(%in: f32, %p: f32, %q: f32):
    %0 = arith.addf %p, %in : f32
    %1 = arith.subf %in, %q : f32
    linalg.yield %0, %1 : f32, f32
  } -> (tensor<f32>, tensor<f32>)
  return %s#0, %s#1 : tensor<f32>, tensor<f32>
}
"""
TIMEOUT = 60


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.mlir"
    path.write_text(PRODUCT + SUMS)
    return path


def prove(*words: object, text: str | bytes | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["prove", *map(str, words)], input=text)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.stdout, result.stderr


def test_report(program: Path) -> None:
    status, output, errors = prove(program)
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    assert lines[:2] == [f"{program}:2:8: linalg.matmul in @product", "  C[m, n] += A[m, k] * B[k, n]"]
    assert "  s#0 += x[i]" in lines and "  s#1 = x[i] - s#1" in lines
    assert lines[-1] == "2 operations, 4 iterators: 2 parallel, 1 reduction, 1 none"
    assert "\x1b" not in output


def test_standard_input_and_bytecode(tmp_path: Path) -> None:
    assert "\n  C[m, n] += A[m, k] * B[k, n]\n" in prove("-", text=PRODUCT)[1]
    path = tmp_path / "program.mlirbc"
    with make_context(), path.open("wb") as file:
        ir.Module.parse(PRODUCT).operation.write_bytecode(file)
    status, output, _ = prove(path)
    assert status == 0
    assert "[m, n] += arg0[m, k] * arg1[k, n]" in output  # bytecode has no names


def test_floats_and_filters(program: Path) -> None:
    assert "1 parallel" not in prove(program, "--floats", "strict")[1]
    assert prove(program, "--floats", "strict")[1].endswith("2 parallel, 0 reduction, 2 none\n")
    for words in (["--function", "sums"], ["--line", "6"]):
        _, output, _ = prove(program, *words)
        assert "@sums" in output and "@product" not in output


def test_json(program: Path) -> None:
    status, output, _ = prove(program, "--json")
    assert status == 0
    matmul, sums = json.loads(output)["operations"]
    assert matmul["equation"] == ["C[m, n] += A[m, k] * B[k, n]"]
    assert [(i["name"], i["extent"], i["verdict"]) for i in matmul["iterators"]] == [
        ("m", 4, "parallel"),
        ("n", None, "parallel"),
        ("k", 5, "reduction"),
    ]
    assert matmul["iterators"][2]["fill"] == {"A": "0", "B": "0"}
    assert matmul["inputs"][0]["masks"]["0"] == ["B"] and matmul["inputs"][0]["annihilates"]
    (axis,) = sums["iterators"]
    shown = axis["counterexample"]
    assert axis["verdict"] == "none" and shown["kind"] == "fold"
    # s#1 becomes y - (x - acc), then x - (y - acc).
    (x,), (y,), acc = shown["x"], shown["y"], shown["accumulators"][-1]
    assert (shown["x then y"][-1], shown["y then x"][-1]) == (y - x + acc, x - y + acc)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "1:1: error: cannot open the file: No such file or directory"),
        (b"", "1:1: error: nothing to prove: no structured operation (linalg, pit.generic) in it"),
        (b"\x00\xff\xfe\x80", "1:1: error: neither text in UTF-8 nor MLIR bytecode"),
        (b"func.func @f() {\n  return %x : f32\n}\n", "2:10: error: use of undeclared SSA value name"),
        (
            b"func.func @f(%x: tensor<4xf32>) {\n  %0 = linalg.softmax dimension(0) ins(%x : tensor<4xf32>) "
            b"outs(%x : tensor<4xf32>) -> tensor<4xf32>\n  return\n}\n",
            "1:1: error: nothing to prove: linalg.softmax: no indexing maps to reason about",
        ),
    ],
)
def test_errors(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "input.mlir"
    if content is not None:
        path.write_bytes(content)
    assert prove(path) == (1, "", f"{path}:{message}\n")


def test_error_of_standard_input_and_of_a_filter(program: Path) -> None:
    assert prove("-", text="func.func @f(")[2].startswith("<stdin>:1:13: error: ")
    assert "no function @f; there are: @product, @sums" in prove(program, "--function", "f")[2]
    assert "nothing to prove" in prove(program, "--line", "1")[2]


def test_names_of_an_imported_program_are_those_that_mlir_prints() -> None:
    """Locations there are of the model; a name that happens to stand at the same place is none of the program's."""
    located = PRODUCT.replace("%A: tensor<4x5xf32>,", '%A: tensor<4x5xf32> loc("model.py":1:19),')
    located = located.replace("-> tensor<4x?xf32>\n", '-> tensor<4x?xf32> loc("model.py":2:8)\n', 1)
    source = Source("program.mlir", located.encode())
    module = source.parse(make_context())
    names = Names(source, module)
    block = module.body.operations[0].regions[0].blocks[0]
    assert [names(argument) for argument in block.arguments] == ["arg0", "B", "init"]
    assert names(block.operations[0].operation.results[0]) == "%0"


def test_several_results_on_one_line() -> None:
    text = 'func.func @f() {\n  %a, %b:2 = "x.y"() : () -> (i32, i32, i32)\n  return\n}\n'
    context = make_context()
    context.allow_unregistered_dialects = True
    source = Source("program.mlir", text.encode())
    module = source.parse(context)
    results = module.body.operations[0].regions[0].blocks[0].operations[0].operation.results
    assert list(map(Names(source, module), results)) == ["a", "b#0", "b#1"]


def start(*words: object, **options: object) -> subprocess.Popen[bytes]:
    # A job in the background starts with the signal ignored, and its children too.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from pit_mlir.tools.pit_mlir import main; main()"
    arguments = [sys.executable, "-c", code, "prove", *map(str, words)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload]


def test_reader_that_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "long.mlir"
    path.write_text("".join(PRODUCT.replace("@product", f"@f{number}") for number in range(300)))
    with start(path) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(str(path).encode())
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT) == 1


def test_ctrl_c_leaves_no_traceback(tmp_path: Path) -> None:
    # The program comes by a pipe that stays open: the signal finds the tool waiting for more.
    with start("-", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b" " * 100_000)  # more than a pipe holds: written once the tool reads
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert b"Traceback" not in errors


def test_neither_torch_nor_a_long_start() -> None:
    code = (
        "import sys\nfrom pit_mlir.tools.prove_command import run\n"
        "assert run('-', 'real', 100, (), (), as_json=False) == 0\n"
        "loaded = {'torch', 'torch_mlir.fx', 'transformers'} & set(sys.modules)\nassert not loaded, loaded"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=PRODUCT.encode(),
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    code = "import sys, pit_mlir.tools.pit_mlir\nassert 'z3' not in sys.modules and 'torch_mlir' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr.decode()


def shell(words: str) -> tuple[int, str]:
    """The status and the errors of the tool with the words and redirections `words`."""
    tool = f"{sys.executable} -c 'from pit_mlir.tools.pit_mlir import main; main()'"
    done = subprocess.run(
        ["sh", "-c", f"{tool} {words}"], capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    return done.returncode, done.stderr


def test_standard_input_that_is_closed() -> None:
    assert shell("prove - <&-") == (1, "<stdin>:1:1: error: cannot read standard input: it is closed\n")


@pytest.mark.parametrize(("to", "why"), [(">&-", "it is closed"), ("> /dev/full", "No space left on device")])
def test_standard_output_that_fails(program: Path, to: str, why: str) -> None:
    message = f"pit-mlir: error: cannot write to standard output: {why}\n"
    for words in (f"prove {program} --function product", f"prove --json {program}", "doctor"):
        assert shell(f"{words} {to}") == (1, message), words


def test_deep_nesting(tmp_path: Path) -> None:
    path, depth = tmp_path / "deep.mlir", 10_000
    path.write_text("func.func @f(%c: i1) {" + "scf.if %c {" * depth + "}" * depth + " return }")
    status, errors = shell(f"prove {path}")
    assert status == 1 and "nothing to prove" in errors
