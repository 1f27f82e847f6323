// RUN: pit-mlir-opt %s --pit-check-determinism --split-input-file --verify-diagnostics

func.func @reduction(%x: memref<8xf32>) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant 0.0 : f32
  %sum = scf.parallel (%i) = (%c0) to (%c8) step (%c1) init (%zero) -> f32 {
    %v = memref.load %x[%i] : memref<8xf32>
    // expected-error@+1 {{threads combine by 'scf.reduce' in the order in which they come, which options.deterministic forbids}}
    scf.reduce(%v : f32) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %b : f32
      scf.reduce.return %s : f32
    }
  }
  return %sum : f32
}

// -----

func.func @atomic(%x: memref<8xf32>, %y: memref<f32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  scf.parallel (%i) = (%c0) to (%c8) step (%c1) {
    %v = memref.load %x[%i] : memref<8xf32>
    // expected-error@+1 {{threads combine by 'memref.atomic_rmw'}}
    %s = memref.atomic_rmw addf %v, %y[] : (f32, memref<f32>) -> f32
    scf.reduce
  }
  return
}
