// RUN: pit-mlir-opt %s --pit-expand-math | filecheck %s

// CHECK-LABEL: func.func @scalar
// CHECK-NOT: math.exp
// CHECK: math.fma %{{.*}} : f32
// CHECK: return
func.func @scalar(%x: f32) -> f32 {
  %y = math.exp %x : f32
  return %y : f32
}

// CHECK-LABEL: func.func @vector
// CHECK-NOT: math.tanh
// CHECK: math.fma %{{.*}} : vector<16xf32>
// CHECK: return
func.func @vector(%x: vector<16xf32>) -> vector<16xf32> {
  %y = math.tanh %x : vector<16xf32>
  return %y : vector<16xf32>
}

// Short floats through f32, doubles by the C library.

// CHECK-LABEL: func.func @other_floats
// CHECK: arith.extf %{{.*}} : bf16 to f32
// CHECK: arith.truncf %{{.*}} : f32 to bf16
// CHECK: math.log %{{.*}} : f64
func.func @other_floats(%x: bf16, %d: f64) -> (bf16, f64) {
  %y = math.log %x : bf16
  %e = math.log %d : f64
  return %y, %e : bf16, f64
}

// What is divided by a constant only to be looked up, also where a shorter type is emulated, is multiplied: the division
// that is left is that of erf.

// CHECK-LABEL: func.func @quotient
// CHECK-DAG: %[[RECIPROCAL:.*]] = arith.constant 0.707106{{.*}} : f32
// CHECK: arith.mulf %{{.*}}, %[[RECIPROCAL]] : f32
// CHECK: return
func.func @quotient(%x: f32) -> f32 {
  %c = arith.constant 1.41421354 : f32
  %q = arith.divf %x, %c : f32
  %b = arith.truncf %q fastmath<contract> : f32 to bf16
  %w = arith.extf %b fastmath<contract> : bf16 to f32
  %y = math.erf %w : f32
  return %y : f32
}
