// RUN: pit-mlir-opt %s --pit-guard-bodies --canonicalize | filecheck %s

// CHECK: module attributes {pit.checks = ["{{.*}}: integer division by zero"]}

// CHECK-LABEL: func.func @gather
// CHECK-SAME: (%[[T:.*]]: tensor<10xf32>, %[[I:.*]]: index)
// CHECK: %[[LOW:.*]] = arith.maxsi %[[I]], %c0
// CHECK: %[[BOTH:.*]] = arith.minsi %[[LOW]], %c9
// CHECK: tensor.extract %[[T]][%[[BOTH]]]
func.func @gather(%t: tensor<10xf32>, %i: index) -> f32 {
  %v = tensor.extract %t[%i] : tensor<10xf32>
  return %v : f32
}

// CHECK-LABEL: func.func @divide
// CHECK: call @pit_check_failed
// CHECK: %[[SAFE:.*]] = arith.select
// CHECK: arith.divsi %{{.*}}, %[[SAFE]]
func.func @divide(%a: i32, %b: i32) -> i32 {
  %q = arith.divsi %a, %b : i32
  return %q : i32
}

// CHECK-LABEL: func.func @divide_by_three
// CHECK-NOT: pit_check_failed
// CHECK: return
func.func @divide_by_three(%a: i32) -> i32 {
  %c3 = arith.constant 3 : i32
  %q = arith.divsi %a, %c3 : i32
  return %q : i32
}
