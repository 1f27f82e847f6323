// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics --pit-sink-sizes

func.func @no_bound(%total: memref<1xindex>) {
  %c0 = arith.constant 0 : index
  %size = memref.load %total[%c0] : memref<1xindex>
  // expected-error@+1 {{nothing bounds a size that 'memref.alloc' needs and only the device knows}}
  %y = memref.alloc(%size) : memref<?xf32>
  return
}

// -----

func.func @returned(%total: memref<1xindex>, %bound: index) -> memref<?xf32> {
  %c0 = arith.constant 0 : index
  %loaded = memref.load %total[%c0] : memref<1xindex>
  %size = arith.minui %loaded, %bound : index
  // expected-error@+1 {{the program returns a tensor whose size only the device knows}}
  %y = memref.alloc(%size) : memref<?xf32>
  return %y : memref<?xf32>
}

// -----

func.func @choice(%flag: memref<i1>, %x: index, %y: index) -> index {
  %set = memref.load %flag[] : memref<i1>
  // expected-error@+1 {{the host would choose between values by what only the device knows}}
  %z = scf.if %set -> index {
    scf.yield %x : index
  } else {
    scf.yield %y : index
  }
  return %z : index
}

// -----

func.func @on_host(%x: memref<i64>) -> i64 {
  // expected-error@+1 {{'memref.load' on the host: the memory of the device belongs to kernels}}
  %z = memref.load %x[] : memref<i64>
  return %z : i64
}
