//! What is joined along axes, all of it or up to each place.

use super::*;

/// Shapes and axes that reductions are tried with.
pub(super) const REDUCED: &[(&[usize], &[usize])] = &[
    (&[], &[]),
    (&[7], &[0]),
    (&[7], &[]),
    (&[4000], &[0]),
    (&[3, 5], &[0]),
    (&[3, 5], &[1]),
    (&[3, 5], &[0, 1]),
    (&[300, 270], &[0]),
    (&[5, 700], &[1]),
    (&[3, 4, 5], &[1]),
    (&[3, 4, 5], &[0, 2]),
    (&[2, 3, 4, 5], &[1, 3]),
    (&[2, 3, 4, 5], &[0, 2]),
    (&[2, 1, 3, 1, 130], &[0, 1, 2]),
    (&[4, 0], &[0]),
];

/// The same with axes of no elements that vanish.
pub(super) const EMPTY: &[(&[usize], &[usize])] =
    &[(&[0], &[0]), (&[4, 0], &[1]), (&[4, 0, 3], &[0, 1])];

pub(super) fn sum() {
    for (shape, axes) in REDUCED.iter().chain(EMPTY) {
        close(
            Sum {
                axes: axes.to_vec(),
            },
            NUMERIC,
            &[shape],
        );
    }
}

pub(super) fn prod() {
    for (shape, axes) in REDUCED.iter().chain(EMPTY) {
        close(
            Prod {
                axes: axes.to_vec(),
            },
            NUMERIC,
            &[shape],
        );
    }
}

pub(super) fn norm() {
    for (shape, axes) in REDUCED.iter().chain(EMPTY) {
        close(
            Norm {
                axes: axes.to_vec(),
            },
            FLOATS,
            &[shape],
        );
    }
    // Squares that overflow, vanish, or are not numbers.
    for elements in [
        [1e200, 3e200, -2e200],
        [1e-200, 3e-200, 0.0],
        [5e-324, 0.0, 5e-324],
        [0.0; 3],
        [f64::INFINITY, 1.0, 0.0],
        [f64::NAN, f64::INFINITY, 0.0],
    ] {
        for shape in [vec![3], vec![3, 1], vec![1, 3]] {
            let axis = shape.iter().position(|n| *n == 3).unwrap();
            let graph = single(Norm { axes: vec![axis] }, &[ty(DType::F64, &shape)]).unwrap();
            near(&graph, &[Array::new(shape, elements.to_vec()).unwrap()]);
        }
    }
    let columns = single(Norm { axes: vec![0] }, &[ty(DType::F64, &[2, 3])]).unwrap();
    near(
        &columns,
        &[Array::from([[1e200, 3.0, 1e-200], [1e200, 4.0, 1e-200]])],
    );
}

pub(super) fn max() {
    for (shape, axes) in REDUCED {
        exact(
            Max {
                axes: axes.to_vec(),
            },
            NUMBERS,
            &[shape],
        );
    }
}

pub(super) fn min() {
    for (shape, axes) in REDUCED {
        exact(
            Min {
                axes: axes.to_vec(),
            },
            NUMBERS,
            &[shape],
        );
    }
}

pub(super) const PLACES: &[(&[usize], usize)] = &[
    (&[7], 0),
    (&[1], 0),
    (&[3, 5], 0),
    (&[3, 5], 1),
    (&[3, 40, 5], 1),
    (&[4, 0], 0),
    (&[0, 4], 1),
    (&[1, 300], 1),
];

pub(super) fn argmax() {
    for (shape, axis) in PLACES {
        exact(ArgMax { axis: *axis }, NUMBERS, &[shape]);
    }
}

pub(super) fn argmin() {
    for (shape, axis) in PLACES {
        exact(ArgMin { axis: *axis }, NUMBERS, &[shape]);
    }
}

pub(super) fn any() {
    for (shape, axes) in REDUCED.iter().chain(EMPTY) {
        exact(
            Any {
                axes: axes.to_vec(),
            },
            &[DType::Bool],
            &[shape],
        );
    }
}

pub(super) fn all() {
    for (shape, axes) in REDUCED.iter().chain(EMPTY) {
        exact(
            All {
                axes: axes.to_vec(),
            },
            &[DType::Bool],
            &[shape],
        );
    }
}

pub(super) const RUNNING: &[(&[usize], usize)] = &[
    (&[1], 0),
    (&[700], 0),
    (&[5, 7], 0),
    (&[5, 7], 1),
    (&[2, 3, 300], 1),
    (&[2, 3, 4], 2),
    (&[0], 0),
    (&[3, 0, 2], 1),
    (&[3, 0, 2], 0),
];

pub(super) fn cumsum() {
    for (shape, axis) in RUNNING {
        for reverse in [false, true] {
            exact(
                CumSum {
                    axis: *axis,
                    reverse,
                },
                NUMERIC,
                &[shape],
            );
        }
    }
}

pub(super) fn cumprod() {
    for (shape, axis) in RUNNING {
        for reverse in [false, true] {
            exact(
                CumProd {
                    axis: *axis,
                    reverse,
                },
                NUMERIC,
                &[shape],
            );
        }
    }
}

pub(super) fn recurrence() {
    for (shape, axis) in RUNNING {
        for reverse in [false, true] {
            close(
                Recurrence {
                    axis: *axis,
                    reverse,
                },
                NUMERIC,
                &[shape, shape],
            );
        }
    }
}

pub(super) fn cum_argmax() {
    for (shape, axis) in PLACES {
        for last in [false, true] {
            exact(CumArgMax { axis: *axis, last }, NUMBERS, &[shape]);
        }
    }
}

pub(super) fn cum_argmin() {
    for (shape, axis) in PLACES {
        for last in [false, true] {
            exact(CumArgMin { axis: *axis, last }, NUMBERS, &[shape]);
        }
    }
}

/// With infinities, which make another number of the same factors in another order.
#[test]
fn products_of_complex_numbers_are_in_row_major_order() {
    for (shape, axes) in REDUCED {
        let axes = axes.to_vec();
        exact(Prod { axes }, &[DType::C64, DType::C128], &[shape]);
    }
}
