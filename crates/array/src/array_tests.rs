use super::*;
use std::collections::hash_map::DefaultHasher;

fn hash(array: &Array) -> u64 {
    let mut hasher = DefaultHasher::new();
    array.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn new_wants_as_many_values_as_elements() {
    let array = Array::new([2, 2], [1, 2, 3, 4]).unwrap();
    assert_eq!(array.as_slice::<i32>().unwrap(), [1, 2, 3, 4]);
    for shape in [Shape::from([3]), Shape::from([usize::MAX, 2])] {
        match Array::new(shape.clone(), [1.0, 2.0]) {
            Err(ArrayError::WrongCount {
                shape: found_shape,
                expected,
                found,
            }) => {
                assert_eq!(found_shape, shape);
                assert_eq!((expected, found), (shape.elements(), 2));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn absurd_sizes_are_errors() {
    let shapes = [
        vec![usize::MAX],
        vec![usize::MAX, usize::MAX],
        vec![1 << 40, 1 << 20],
        vec![isize::MAX as usize / 8 + 1],
    ];
    for shape in shapes {
        assert!(matches!(
            Array::zeros(DType::F64, shape.clone()),
            Err(ArrayError::TooLarge {
                dtype: DType::F64,
                ..
            })
        ));
        assert!(matches!(
            Array::full(shape.clone(), Scalar::F64(1.0)),
            Err(ArrayError::TooLarge { .. })
        ));
        assert!(Array::from_scalars(DType::F64, shape, [Scalar::F64(1.0)]).is_err());
    }
    let empty = Array::zeros(DType::F64, [usize::MAX, 0, usize::MAX]).unwrap();
    assert!(empty.is_empty());
}

#[test]
fn full_and_zeros_hold_what_they_say() {
    for &dtype in DType::ALL {
        let ones = Array::full([2, 3], Scalar::one(dtype)).unwrap();
        assert_eq!((ones.dtype(), ones.len()), (dtype, 6));
        assert!(ones.scalars().all(|x| x == Scalar::one(dtype)));
        let zeros = Array::zeros(dtype, [4]).unwrap();
        assert!(zeros.scalars().all(|x| x == Scalar::zero(dtype)));
        assert_eq!(zeros.bytes_len(), 4 * dtype.size());
    }
    let negative = Array::full([2], Scalar::F64(-0.0)).unwrap();
    assert!(negative.scalars().all(|x| x == Scalar::F64(-0.0)));
}

#[test]
fn from_scalars_converts_and_counts() {
    let array =
        Array::from_scalars(DType::U8, [2], [Scalar::F64(300.0), Scalar::Bool(true)]).unwrap();
    assert_eq!(array, Array::from([255u8, 1]));
    let few = Array::from_scalars(DType::I32, [3], [Scalar::I32(1)]);
    assert!(matches!(
        few,
        Err(ArrayError::WrongCount {
            expected: 3,
            found: 1,
            ..
        })
    ));
    let endless = Array::from_scalars(DType::I32, [3], std::iter::repeat(Scalar::I32(1)));
    assert!(matches!(
        endless,
        Err(ArrayError::WrongCount {
            expected: 3,
            found: 4,
            ..
        })
    ));
}

#[test]
fn wrong_dtypes_name_both() {
    let mut array = Array::from([1.0]);
    let errors = [
        array.as_slice::<f32>().map(drop),
        array.to_vec::<f32>().map(drop),
        array.item::<f32>().map(drop),
        array.clone().into_vec::<f32>().map(drop),
        array.as_mut_slice::<f32>().map(drop),
    ];
    for error in errors {
        let text = error.unwrap_err().to_string();
        assert_eq!(text, "expected values of dtype f32, found f64");
    }
}

#[test]
fn clones_share_until_written_to() {
    let mut a = Array::from([1.0, 2.0]);
    let b = a.clone();
    assert_eq!(
        a.as_slice::<f64>().unwrap().as_ptr(),
        b.as_slice::<f64>().unwrap().as_ptr()
    );
    a.as_mut_slice::<f64>().unwrap()[0] = 7.0;
    assert_eq!(a, Array::from([7.0, 2.0]));
    assert_eq!(b, Array::from([1.0, 2.0]));
    let place = a.as_slice::<f64>().unwrap().as_ptr();
    a.as_mut_slice::<f64>().unwrap()[1] = 8.0;
    let values = a.into_vec::<f64>().unwrap();
    assert_eq!((values.as_ptr(), &values[..]), (place, &[7.0, 8.0][..]));
    assert_eq!(
        b.clone().into_vec::<f64>().unwrap(),
        b.to_vec::<f64>().unwrap()
    );
}

#[test]
fn items_and_places() {
    assert_eq!(Array::from([[5i64]]).item::<i64>().unwrap(), 5);
    assert!(matches!(
        Array::from([1.0, 2.0]).item::<f64>(),
        Err(ArrayError::NotOneElement { .. })
    ));
    assert!(Array::vector(Vec::<f64>::new()).item::<f64>().is_err());
    let matrix = Array::from([[1, 2, 3], [4, 5, 6]]);
    assert_eq!(matrix.get(&[1, 2]), Some(Scalar::I32(6)));
    assert_eq!(matrix.get(&[1, 0]), Some(Scalar::I32(4)));
    for index in [&[2, 0][..], &[0, 3], &[0], &[0, 0, 0]] {
        assert_eq!(matrix.get(index), None, "{index:?}");
    }
    assert_eq!(matrix.at(3), Some(Scalar::I32(4)));
    assert_eq!(matrix.at(6), None);
    assert_eq!(Array::from(2u8).get(&[]), Some(Scalar::U8(2)));
    assert_eq!(Array::from([true, false]).to_f64s(), [1.0, 0.0]);
    assert_eq!(matrix.scalars().count(), 6);
}

#[test]
fn convert_agrees_with_scalars() {
    let values = [
        0.0,
        -0.0,
        0.5,
        -1.5,
        255.9,
        1e10,
        -1e10,
        1e20,
        -1e20,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        16_777_217.0,
    ];
    for &from in DType::ALL {
        let source = Array::vector(values).convert(from);
        for &to in DType::ALL {
            let converted = source.convert(to);
            assert_eq!(converted.dtype(), to);
            let expected: Vec<Scalar> = source.scalars().map(|x| x.convert(to)).collect();
            assert!(converted.scalars().eq(expected), "{from} to {to}");
        }
    }
}

#[test]
fn reshape_keeps_values_and_counts() {
    let flat = Array::from([1, 2, 3, 4, 5, 6]);
    let matrix = flat.reshape([2, 3]).unwrap();
    assert_eq!(matrix, Array::from([[1, 2, 3], [4, 5, 6]]));
    assert_eq!(
        flat.reshape([4]).unwrap_err().to_string(),
        "shape [4] takes 4 values, found 6"
    );
    assert_eq!(Array::from([1.0]).reshape(()).unwrap(), Array::from(1.0));
}

#[test]
fn bytes_round_trip() {
    for &dtype in DType::ALL {
        let array = Array::from([0.0, 1.0, 2.0, -3.0, 250.0, 1e6]).convert(dtype);
        // One byte further, so that the values are not aligned.
        let mut padded = vec![0];
        padded.extend_from_slice(array.as_bytes());
        let back = Array::from_bytes(dtype, [6], &padded[1..]).unwrap();
        assert_eq!(back, array);
    }
}

#[test]
fn bytes_are_checked() {
    assert!(matches!(
        Array::from_bytes(DType::F32, [1], &[0; 5]),
        Err(ArrayError::WrongBytes {
            size: 4,
            found: 5,
            ..
        })
    ));
    assert!(matches!(
        Array::from_bytes(DType::F32, [3], &[0; 8]),
        Err(ArrayError::WrongCount {
            expected: 3,
            found: 2,
            ..
        })
    ));
    assert!(matches!(
        Array::from_bytes(DType::Bool, [3], &[0, 1, 2]),
        Err(ArrayError::BadBool { found: 2, at: 2 })
    ));
    assert!(Array::from([true]).as_bytes_mut().is_none());
    let mut array = Array::from([1u8, 2]);
    let other = array.clone();
    array.as_bytes_mut().unwrap()[0] = 9;
    assert_eq!(
        (array, other),
        (Array::from([9u8, 2]), Array::from([1u8, 2]))
    );
}

#[test]
fn equality_and_hash_treat_nans_as_one() {
    let a = Array::from([f64::NAN, 1.0]);
    let b = Array::from([f64::from_bits(0xfff8_0000_0000_0007), 1.0]);
    assert_ne!(a.as_bytes(), b.as_bytes());
    assert_eq!(a, b);
    assert_eq!(hash(&a), hash(&b));
    assert_ne!(Array::from([0.0]), Array::from([-0.0]));
    assert_ne!(Array::from([1.0]), Array::from([1.0f32]));
    assert_ne!(Array::from([1.0]), Array::from([[1.0]]));
    assert_ne!(Array::from([1, 2]), Array::from([1, 3]));
}

#[test]
fn rows_are_taken_in_order() {
    let cube = Array::from([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]);
    assert_eq!(
        cube.select_rows(&[1, 1, 0]).unwrap(),
        Array::from([[[5, 6], [7, 8]], [[5, 6], [7, 8]], [[1, 2], [3, 4]]])
    );
    assert_eq!(cube.select_rows(&[]).unwrap().shape().dims(), [0, 2, 2]);
    assert_eq!(
        cube.select_rows(&[0, 2]).unwrap_err().to_string(),
        "index 2 is out of range for axis 0 of shape [2, 2, 2]"
    );
    assert!(matches!(
        Array::from(1.0).select_rows(&[]),
        Err(ArrayError::WrongRank { .. })
    ));
    let thin = Array::zeros(DType::Bool, [2, 0]).unwrap();
    assert_eq!(thin.select_rows(&[1, 0, 1]).unwrap().shape().dims(), [3, 0]);
    let none = Array::zeros(DType::F64, [0, usize::MAX, usize::MAX]).unwrap();
    assert!(none.select_rows(&[]).unwrap().is_empty());
    assert!(none.select_rows(&[0]).is_err());
}
