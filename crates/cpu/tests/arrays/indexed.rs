//! What reads or adds at indices, sorts and searches.

use super::*;

/// Arrays of an operation with indices within their axes.
pub(super) fn indexed(
    op: &Op,
    dtype: DType,
    x: &[usize],
    indices: &[&[usize]],
    index: DType,
    lengths: &[usize],
) {
    let mut types = vec![ty(dtype, x)];
    types.extend(indices.iter().map(|s| ty(index, s)));
    let graph = single(op.clone(), &types).unwrap_or_else(|| panic!("{op:?} of {types:?}"));
    let mut numbers = Numbers::new(11);
    let mut inputs = vec![numbers.array(&types[0], Numbers::plain)];
    for (ty, length) in types[1..].iter().zip(lengths) {
        inputs.push(numbers.array(ty, |n, d| {
            Scalar::from_i64(d, n.next() as i64 & (0x7fff_ffff % *length as i64))
        }));
    }
    same_bits(&graph, &inputs);
}

pub(super) const INTEGERS: &[DType] = &[DType::U8, DType::U32, DType::I32, DType::I64];

pub(super) fn gather() {
    for index in INTEGERS {
        for dtype in DType::ALL {
            indexed(
                &Gather { axis: 0, batch: 0 }.into(),
                *dtype,
                &[8],
                &[&[5]],
                *index,
                &[8],
            );
            indexed(
                &Gather { axis: 0, batch: 0 }.into(),
                *dtype,
                &[8, 3],
                &[&[5, 2]],
                *index,
                &[8],
            );
            indexed(
                &Gather { axis: 1, batch: 0 }.into(),
                *dtype,
                &[2, 8, 3],
                &[&[]],
                *index,
                &[8],
            );
            indexed(
                &Gather { axis: 1, batch: 0 }.into(),
                *dtype,
                &[2, 8, 4, 3],
                &[&[5], &[5]],
                *index,
                &[8, 4],
            );
            indexed(
                &Gather { axis: 1, batch: 1 }.into(),
                *dtype,
                &[2, 8, 3],
                &[&[2, 6]],
                *index,
                &[8],
            );
            indexed(
                &Gather { axis: 2, batch: 1 }.into(),
                *dtype,
                &[2, 3, 8],
                &[&[2, 6, 2]],
                *index,
                &[8],
            );
            indexed(
                &Gather { axis: 0, batch: 0 }.into(),
                *dtype,
                &[8, 0],
                &[&[5]],
                *index,
                &[8],
            );
            indexed(
                &Gather { axis: 0, batch: 0 }.into(),
                *dtype,
                &[0, 3],
                &[&[0]],
                *index,
                &[1],
            );
        }
    }
}

pub(super) fn scatter_add() {
    let op = |shape: &[usize], axis, batch| {
        Op::from(ScatterAdd {
            shape: Shape::from(shape),
            axis,
            batch,
        })
    };
    for index in INTEGERS {
        for dtype in NUMERIC {
            indexed(&op(&[8], 0, 0), *dtype, &[50], &[&[50]], *index, &[8]);
            indexed(
                &op(&[8, 3], 0, 0),
                *dtype,
                &[5, 2, 3],
                &[&[5, 2]],
                *index,
                &[8],
            );
            indexed(
                &op(&[2, 8, 4, 3], 1, 0),
                *dtype,
                &[2, 5, 3],
                &[&[5], &[5]],
                *index,
                &[8, 4],
            );
            indexed(
                &op(&[2, 3, 8], 2, 1),
                *dtype,
                &[2, 3, 6],
                &[&[2, 6]],
                *index,
                &[8],
            );
            indexed(&op(&[8, 0], 0, 0), *dtype, &[5, 0], &[&[5]], *index, &[8]);
            indexed(&op(&[8, 2], 0, 0), *dtype, &[0, 2], &[&[0]], *index, &[8]);
        }
    }
}

pub(super) fn argsort() {
    for (shape, axis) in PLACES {
        let n = shape[*axis];
        for (descending, count) in [(false, n), (true, n), (false, n / 2), (true, 1), (false, 0)] {
            let op = ArgSort {
                axis: *axis,
                descending,
                count,
            };
            exact(op, NUMBERS, &[shape]);
        }
    }
}

pub(super) fn searchsorted() {
    let cases: [(&[usize], &[usize]); 6] = [
        (&[9], &[]),
        (&[9], &[2, 3]),
        (&[0], &[4]),
        (&[2, 5], &[2, 3]),
        (&[2, 3, 4], &[2, 3]),
        (&[0, 3], &[0, 2]),
    ];
    for (sorted, values) in cases {
        for right in [false, true] {
            for dtype in NUMBERS {
                let types = [ty(*dtype, sorted), ty(*dtype, values)];
                let graph = single(SearchSorted { right }, &types).unwrap();
                let mut numbers = Numbers::new(3);
                let [lines, values] = types.map(|t| numbers.array(&t, Numbers::any));
                // In the order of the operation itself.
                let axis = sorted.len() - 1;
                let order = ArgSort {
                    axis,
                    descending: false,
                    count: sorted[axis],
                };
                let order = single(order, &[ty(*dtype, sorted)]).unwrap();
                let at = run(&order, std::slice::from_ref(&lines)).remove(0);
                let n = sorted[axis];
                let picked = at.scalars().enumerate().map(|(i, place)| {
                    let place = i / n.max(1) * n + place.to_i64() as usize;
                    lines.at(place).unwrap()
                });
                let picked: Vec<Scalar> = picked.collect();
                let lines = Array::from_scalars(*dtype, Shape::from(sorted), picked).unwrap();
                same_bits(&graph, &[lines, values]);
            }
        }
    }
}
