// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics

func.func @no_combine(%v: tensor<?x16xf32>, %o: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{'pit.swrite' op requires attribute 'combine'}}
  %r = "pit.swrite"(%v, %o, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>} : (tensor<?x16xf32>, tensor<4x8x16xf32>, !pit.index) -> tensor<4x8x16xf32>
  return
}

// -----

func.func @combine(%v: tensor<?x16xf32>, %o: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{attribute 'combine' must be one of ['store', 'add', 'max', 'min'], got "mul"}}
  %r = "pit.swrite"(%v, %o, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "mul"} : (tensor<?x16xf32>, tensor<4x8x16xf32>, !pit.index) -> tensor<4x8x16xf32>
  return
}

// -----

func.func @value(%v: tensor<?x15xf32>, %o: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{writes tensor<?x15xf32> along [0, 1] of tensor<4x8x16xf32>: expected value tensor<?x16xf32>}}
  %r = "pit.swrite"(%v, %o, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"} : (tensor<?x15xf32>, tensor<4x8x16xf32>, !pit.index) -> tensor<4x8x16xf32>
  return
}

// -----

func.func @result(%v: tensor<?x16xf32>, %o: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{result tensor<4x8x15xf32> must have the type of init tensor<4x8x16xf32>}}
  %r = "pit.swrite"(%v, %o, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"} : (tensor<?x16xf32>, tensor<4x8x16xf32>, !pit.index) -> tensor<4x8x15xf32>
  return
}

// -----

func.func @store_twice(%v: tensor<?x16xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{stores through coordinates [0] of a group of 2: a place may be listed twice, use combine = add, max or min}}
  %r = "pit.swrite"(%v, %o, %I) {axis = array<i64: 0>, group = array<i64: 0>, combine = "store"} : (tensor<?x16xf32>, tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

// Two choices of one token may be the same place: the token alone does not tell the rows apart.
func.func @keys_of_one_place(%v: tensor<?x4xf32>, %c: tensor<6x4xf32>, %chosen: tensor<6x2xi64>) {
  %I = "pit.detect"(%chosen) {values = 8 : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<6x2xi64>) -> !pit.index
  // expected-error@+1 {{stores through coordinates [1] of a group of 2: a place may be listed twice, use combine = add, max or min}}
  %y = "pit.swrite"(%v, %c, %I) {axis = array<i64: 0>, group = array<i64: 1>, combine = "store"} : (tensor<?x4xf32>, tensor<6x4xf32>, !pit.index) -> tensor<6x4xf32>
  return
}
