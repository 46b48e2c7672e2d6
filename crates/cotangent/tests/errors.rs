//! What every method says when its operands do not fit, with the place in the user's code.

use cotangent::{
    Array, ConvOptions, DType, Error, Function, Key, PadMode, Padding, PoolOptions, Tensor, concat,
    einsum, keep, meshgrid, normal, stack, step, uniform,
};

type Body = fn(&Tensor) -> Tensor;

/// Wrong uses of f64[2, 3] and the messages after the place.
#[rustfmt::skip]
#[allow(clippy::eq_op, clippy::reversed_empty_ranges)]
const WRONG: &[(&str, Body)] = &[
    ("add: expected operands of one dtype, found f64 and i64 (operands: f64[2, 3], i64[2, 3])", |x| x + x.convert(DType::I64)),
    ("mul: expected shapes that broadcast to one, found [4] and [2, 3] (operands: f64[2, 3], f64[4])", |x| x * Tensor::zeros([4], DType::F64)),
    ("div: expected a number of dtype f64, found true (operands: f64[2, 3])", |x| x / true),
    ("and: expected an integer dtype or bool, found f64 (operands: f64[2, 3], f64[2, 3])", |x| x & x),
    ("not: expected an integer dtype or bool, found f64 (operands: f64[2, 3])", |x| !x),
    ("sin: expected a float or a complex dtype, found i64 (operands: i64[2, 3])", |x| x.convert(DType::I64).sin()),
    ("eq: expected operands of one dtype, found f64 and bool (operands: f64[2, 3], bool[2, 3])", |x| x.equal(x.is_nan())),
    ("select: expected a bool condition, found f64 (operands: f64[2, 3], f64[2, 3], f64[2, 3])", |x| x.select(x, x)),
    ("select: expected operands of one dtype, found f64 and i64 (operands: f64[2, 3], i64[2, 3])", |x| x.is_nan().select(x, x.convert(DType::I64))),
    ("select: expected a whole number that fits i64, found 0.5 (operands: i64[2, 3])", |x| x.is_nan().select(x.convert(DType::I64), 0.5)),
    ("clamp: expected shapes that broadcast to one, found [2] and [2, 3] (operands: f64[2, 3], f64[2], f64)", |x| x.clamp(x.sum(1), 1.0)),
    ("powi: expected n >= 0 for i64, found -1 (operands: i64[2, 3])", |x| x.convert(DType::I64).powi(-1)),
    ("full_like: expected a whole number that fits u8, found 256 (operands: u8[2, 3])", |x| x.convert(DType::U8).full_like(256)),
    ("sum: expected an axis from -2 to 1, found 2 (operands: f64[2, 3])", |x| x.sum(2)),
    ("sum: expected each axis once, found axis -2 twice (operands: f64[2, 3])", |x| x.sum([0, -2])),
    ("max: expected no axis for a scalar, found axis 0 (operands: f64)", |x| x.sum(..).max(0)),
    ("mean: expected a float or a complex dtype, found i64; use convert (operands: i64[2, 3])", |x| x.convert(DType::I64).mean(..)),
    ("var: expected an axis from -2 to 1, found -3 (operands: f64[2, 3])", |x| x.var(-3)),
    ("std: expected f64 or f32, found bool; use convert (operands: bool[2, 3])", |x| x.is_nan().std(..)),
    ("norm: expected f64 or f32, found i64 (operands: i64[2, 3])", |x| x.convert(DType::I64).norm(..)),
    ("norm_p: expected an axis from -2 to 1, found 5 (operands: f64[2, 3])", |x| x.norm_p(3.0, 5)),
    ("logsumexp: expected an axis from -2 to 1, found 5 (operands: f64[2, 3])", |x| x.logsumexp(5)),
    ("softmax: expected an axis from -2 to 1, found 5 (operands: f64[2, 3])", |x| x.softmax(5)),
    ("log_softmax: expected an axis from -2 to 1, found 5 (operands: f64[2, 3])", |x| x.log_softmax(keep(5))),
    ("argmax: expected an axis from -2 to 1, found 5 (operands: f64[2, 3])", |x| x.argmax(5)),
    ("argmin: expected one axis or all, found [] (operands: f64[2, 3])", |x| x.argmin(())),
    ("cumsum: expected an axis from -2 to 1, found 5 (operands: f64[2, 3])", |x| x.cumsum(5)),
    ("diff: expected an axis from -2 to 1, found 5 (operands: f64[2, 3])", |x| x.diff(5)),
    ("recurrence: expected an axis from -2 to 1, found 5 (operands: f64[2, 3], f64[2, 3])", |x| x.recurrence(x, 5)),
    ("any: expected bool, found f64 (operands: f64[2, 3])", |x| x.any(..)),
    ("reshape: expected a shape of 6 elements, found [4, -1] (operands: f64[2, 3])", |x| x.reshape([4, -1])),
    ("reshape: expected at most one length of -1, found [-1, -1] (operands: f64[2, 3])", |x| x.reshape([-1, -1])),
    ("reshape: expected 0 or more, found -2 (operands: f64[2, 3])", |x| x.reshape([-2, 3])),
    ("flatten: expected axes in order, found 1 to 0 (operands: f64[2, 3])", |x| x.flatten(1, 0)),
    ("t: expected a matrix, or a batch of matrices (operands: f64)", |x| x.sum(..).t()),
    ("permute: expected each axis once, found axis 1 twice (operands: f64[2, 3])", |x| x.permute([1, 1])),
    ("transpose: expected axes to be a permutation of 0..2, found [1] (operands: f64[2, 3])", |x| x.permute([1])),
    ("swapaxes: expected an axis from -2 to 1, found 2 (operands: f64[2, 3])", |x| x.swapaxes(0, 2)),
    ("moveaxis: expected 2 places, found 1 (operands: f64[2, 3])", |x| x.moveaxis([0, 1], [1])),
    ("expand_dims: expected an axis from -3 to 2, found 3 (operands: f64[2, 3])", |x| x.expand_dims(3)),
    ("squeeze: expected axis 0 of length 1, found 2 (operands: f64[2, 3])", |x| x.squeeze(0)),
    ("broadcast_to: expected a shape that broadcasts to [3], found [2, 3] (operands: f64[2, 3])", |x| x.broadcast_to([3])),
    ("flip: expected an axis from -2 to 1, found 2 (operands: f64[2, 3])", |x| x.flip(2)),
    ("roll: expected an axis from -2 to 1, found 2 (operands: f64[2, 3])", |x| x.roll(1, 2)),
    ("tile: expected 0 or more, found -1 (operands: f64[2, 3])", |x| x.tile([-1])),
    ("repeat: expected an axis from -2 to 1, found 2 (operands: f64[2, 3])", |x| x.repeat(2, 2)),
    ("pad: expected a pair of widths for each of 2 axes, found 1 (operands: f64[2, 3])", |x| x.pad([(1, 1)], PadMode::ZERO)),
    ("pad: expected an axis that is not empty, found length 0 (operands: f64[0, 3])", |x| x.at((0..0, ..)).pad([(1, 1), (0, 0)], PadMode::Edge)),
    ("split: expected lengths that add up to 3, found [1, 1] (operands: f64[2, 3])", |x| x.split(&[1, 1], 1).remove(0)),
    ("chunk: expected an axis from -2 to 1, found 2 (operands: f64[2, 3])", |x| x.chunk(2, 2).remove(0)),
    ("unbind: expected an axis from -2 to 1, found 2 (operands: f64[2, 3])", |x| x.unbind(2).remove(0)),
    ("slice_axis: expected a range within 0..3, found 1..4 (operands: f64[2, 3])", |x| x.slice_axis(1, 1..4)),
    ("concat: expected one tensor or more, found none (operands: )", |_| concat(Vec::<Tensor>::new(), 0)),
    ("concat: expected operands of one dtype, found f64 and bool (operands: f64[2, 3], bool[2, 3])", |x| concat([x, &x.is_nan()], 0)),
    ("concat: expected an axis from -2 to 1, found 2 (operands: f64[2, 3], f64[2, 3])", |x| concat([x, x], 2)),
    ("stack: expected tensors of one shape, found [2, 3] and [2] (operands: f64[2, 3], f64[2])", |x| stack([x, &x.sum(1)], 0)),
    ("at: expected at most 2 parts, found 3 (operands: f64[2, 3])", |x| x.at((0, 0, 0))),
    ("at: expected a place within axis 1 of length 3, found -4 (operands: f64[2, 3])", |x| x.at((.., -4))),
    ("at: expected a range within axis 0 of length 2, found 1..3 (operands: f64[2, 3])", |x| x.at(1..3)),
    ("at: expected a range within axis 0 of length 2, found 2..1 (operands: f64[2, 3])", |x| x.at(2..1)),
    ("at: expected a step that is not 0 (operands: f64[2, 3])", |x| x.at(step(.., 0))),
    ("set_at: expected operands of one dtype, found f64 and bool (operands: f64[2, 3], bool[2, 3])", |x| x.set_at(0, x.is_nan())),
    ("broadcast_to: expected a shape that broadcasts to [3], found [2, 3] (operands: f64[2, 3])", |x| x.add_at(0, x)),
    ("take: expected an axis from -2 to 1, found 2 (operands: f64[2, 3], i32)", |x| x.take(0, 2)),
    ("gather: expected from 1 to 2 tensors of indices, found 3 (operands: f64[2, 3])", |x| x.gather([0, 0, 0], 0)),
    ("take_along_axis: expected indices of rank 2, found 1 (operands: f64[2, 3], i32[1])", |x| x.take_along_axis([0], 0)),
    ("put_along_axis: expected indices of rank 2, found 1 (operands: f64[2, 3], i32[1])", |x| x.put_along_axis([0], 0.0, 0)),
    ("put_along_axis: expected indices and values that broadcast to [1, 3] (operands: f64[2, 3], i32[1, 2], f64)", |x| x.put_along_axis(Tensor::from([[0, 1]]), 0.0, 0)),
    ("put_along_axis: expected indices and values that broadcast to [1, 3] (operands: f64[2, 3], i32[1, 1], f64[2, 3])", |x| x.put_along_axis(Tensor::from([[0]]), x, 0)),
    ("put_along_axis: expected operands of one dtype, found f64 and bool (operands: f64[2, 3], bool[2, 3])", |x| x.put_along_axis(Tensor::from([[0]]), x.is_nan(), 0)),
    ("put_along_axis: expected an axis from -2 to 1, found 2 (operands: f64[2, 3], i32[1, 1])", |x| x.put_along_axis(Tensor::from([[0]]), 0.0, 2)),
    ("percentile: expected operands of one dtype, found f64 and f32 (operands: f64[2, 3], f32[2, 3])", |x| x.percentile(x.convert(DType::F32), .., Default::default())),
    ("gammainc: expected f64 or f32, found i64 (operands: i64[2, 3], i64[2, 3])", |x| x.convert(DType::I64).gammainc(1)),
    ("betainc: expected shapes that broadcast to one, found [2] and [2, 3] (operands: f64[2, 3], f64[2], f64)", |x| x.betainc(x.sum(1), 0.5)),
    ("zeta: expected operands of one dtype, found f64 and f32 (operands: f64[2, 3], f32[2, 3])", |x| x.zeta(x.convert(DType::F32))),
    ("add_along_axis: expected indices and updates of one shape and of this tensor's rank (operands: f64[2, 3], i32[1], f64[2, 3])", |x| x.add_along_axis([0], x, 0)),
    ("scatter_add: expected a number of dtype f64, found true (operands: f64[2, 3])", |x| x.index_add(0, true, 0)),
    ("one_hot: expected an integer dtype, found f64 (operands: f64[2, 3])", |x| x.one_hot(3, DType::F64)),
    ("diagonal: expected each axis once, found axis 0 twice (operands: f64[2, 3])", |x| x.diagonal(0, 0, 0)),
    ("diag: expected a vector, found a scalar (operands: f64)", |x| x.sum(..).diag(0)),
    ("trace: expected a matrix (operands: f64[2])", |x| x.sum(1).trace()),
    ("tril: expected a matrix (operands: f64[2])", |x| x.sum(1).tril(0)),
    ("meshgrid: expected vectors (operands: f64[2, 3])", |x| meshgrid([x]).remove(0)),
    ("iota: expected an axis from -1 to 0, found 1 (operands: )", |_| Tensor::iota([2], 1, DType::I64)),
    ("arange_step: expected finite ends and a step that is not 0, found 0 (operands: )", |_| Tensor::arange_step(0.0, 1.0, 0.0, DType::F64)),
    ("dot: expected axes of one length to sum over, found [3] and [2] (operands: f64[2, 3], f64[2, 3])", |x| x.dot(x)),
    ("matmul: expected axes of one length to sum over, found [3] and [2] (operands: f64[2, 3], f64[2, 3])", |x| x.matmul(x)),
    ("matmul: expected vectors or matrices, found a scalar (operands: f64[2, 3], f64)", |x| x.matmul(&x.sum(..))),
    ("matmul: expected batches that broadcast, found [2] and [3] (operands: f64[2, 1, 3], f64[3, 3, 2])", |x| x.expand_dims(1).matmul(&x.t().expand_dims(0).broadcast_to([3, 3, 2]))),
    ("matmul: expected operands of one dtype, found f64 and f32 (operands: f64[2, 3], f32[3, 2])", |x| x.matmul(&x.t().convert(DType::F32))),
    ("tensordot: expected an axis from -2 to 1, found 2 (operands: f64[2, 3], f64[2, 3])", |x| x.tensordot(x, 2, 0)),
    ("tensordot: expected axes of one length to sum over, found [2, 3] and [2] (operands: f64[2, 3], f64[2, 3])", |x| x.tensordot(x, [0, 1], 0)),
    ("cross: expected vectors of length 3 (operands: f64[2, 3], f64[2, 3])", |x| x.cross(x, 0)),
    ("windows: expected a size up to 3 and a step above 0, found 4, 1 (operands: f64[2, 3])", |x| x.windows(1, 4, 1)),
    ("einsum: `ij,jk`: expected 2 operands, found 1 (operands: f64[2, 3])", |x| einsum("ij,jk", [x])),
    ("einsum: `ijk`: expected 3 axes for `ijk`, found f64[2, 3] (operands: f64[2, 3])", |x| einsum("ijk", [x])),
    ("einsum: `ij,ij->k`: expected letters of the operands, found `k` (operands: f64[2, 3], f64[2, 3])", |x| einsum("ij,ij->k", [x, x])),
    ("einsum: `ij->ii`: expected each letter of `ii` once (operands: f64[2, 3])", |x| einsum("ij->ii", [x])),
    ("einsum: `ii`: expected one length for axis `i`, found 2 and 3 (operands: f64[2, 3])", |x| einsum("ii", [x])),
    ("einsum: `i1`: expected letters, `...`, `,` and `->`, found `1` (operands: f64[2, 3])", |x| einsum("i1", [x])),
    ("einsum: `i...->i`: expected `...` in the result too (operands: f64[2, 3])", |x| einsum("i...->i", [x])),
    ("conv: expected an input [N, C, spatial..] and a kernel of the same rank (operands: f64[2, 3], f64[2])", |x| x.conv(&x.sum(1), &ConvOptions::default())),
    ("conv: expected a stride for each of 1 axes, found 2 (operands: f64[2, 3, 1], f64[2, 3, 1])", |x| x.expand_dims(2).conv(&x.expand_dims(2), &ConvOptions::default().stride([1, 2]))),
    ("conv: expected groups to divide 3 input channels and 2 output channels, found 2 (operands: f64[2, 3, 1], f64[2, 3, 1])", |x| x.expand_dims(2).conv(&x.expand_dims(2), &ConvOptions::default().groups(2))),
    ("conv_transpose: expected a padding in numbers, found `Same` (operands: f64[2, 3, 1], f64[2, 3, 1])", |x| x.expand_dims(2).conv_transpose(&x.expand_dims(2), &ConvOptions::default().padding(Padding::Same))),
    ("max_pool: expected at most 2 window lengths, found 3 (operands: f64[2, 3])", |x| x.max_pool([1, 1, 1], &PoolOptions::default())),
    ("sum_pool: expected a window of length 1 or more, found 0 (operands: f64[2, 3])", |x| x.sum_pool([0], &PoolOptions::default())),
    ("avg_pool: expected f64 or f32, found i64; use convert (operands: i64[2, 3])", |x| x.convert(DType::I64).avg_pool([2], &PoolOptions::default())),
    ("layer_norm: expected an axis from -2 to 1, found 2 (operands: f64[2, 3])", |x| x.layer_norm(2, 1e-5)),
    ("rms_norm: expected an axis from -2 to 1, found 2 (operands: f64[2, 3])", |x| x.rms_norm(2, 1e-5)),
    ("group_norm: expected [N, C, ..] and groups that divide C, found 2 groups (operands: f64[2, 3])", |x| x.group_norm(2, 1e-5)),
    ("batch_norm: expected [N, C, ..] (operands: f64[2])", |x| x.sum(1).batch_norm(1e-5).0),
    ("batch_norm_with: expected [N, C, ..], means [C] and variances [C] (operands: f64[2, 3], f64[2], f64[3])", |x| x.batch_norm_with(&x.sum(1), &x.sum(0), 1e-5)),
    ("dropout: expected a rate of at least 0 and below 1, found 1 (operands: f64[2, 3])", |x| x.dropout(&Key::new(0), 1.0)),
    ("glu: expected an even length of axis 1, found 3 (operands: f64[2, 3])", |x| x.glu(1)),
    ("cross_entropy: expected integer labels of shape [2] (operands: f64[2, 3], i32[3])", |x| x.cross_entropy([0, 1, 2], 1)),
    ("nll_loss: expected an axis from -2 to 1, found 2 (operands: f64[2, 3], i32[2])", |x| x.nll_loss([0, 1], 2)),
    ("hypot: expected operands of one dtype, found f64 and f32 (operands: f64[2, 3], f32[2, 3])", |x| x.hypot(x.convert(DType::F32))),
    ("uniform: expected f64 or f32, found i64 (operands: u32[2])", |_| uniform(&Key::new(0), [2], DType::I64)),
    ("normal: expected f64 or f32, found u8 (operands: u32[2])", |_| normal(&Key::new(0), [2], DType::U8)),
    ("fold_in: expected an integer scalar (operands: u32[2], f64[2, 3])", |x| Key::new(0).fold_in(x).0),
];

#[test]
fn messages_name_the_place_the_operation_and_the_types() {
    let x = Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
    for (message, body) in WRONG {
        // Traced, and computed at once: the same message.
        let traced = Function::new(*body).call((x.clone(),)).map(|_| ());
        let now = body(&Tensor::from(&x)).to_array().map(|_| ());
        let traced = traced.expect_err(message);
        assert_eq!(traced.to_string(), now.expect_err(message).to_string());
        let place = traced.location().map(|l| l.to_string()).unwrap_or_default();
        let found = traced.to_string();
        if found != format!("{place}: {message}") || !place.starts_with(concat!(file!(), ":")) {
            wrong.push(format!("expected {message}\n   found {found}"));
        }
        lines.push(place);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Each row stands on a line of its own.
    lines.dedup_by_key(|place| place.split(':').nth(1).map(str::to_owned));
    assert_eq!(lines.len(), WRONG.len());
}

#[test]
fn an_index_out_of_range_is_an_error_when_the_function_runs() {
    let f = Function::new(|x: &Tensor, i: &Tensor| x.take(i, 0));
    let x = Array::from([1.0, 2.0]);
    assert_eq!(
        f.call((x.clone(), [1, -2].into())).expect("in range"),
        [2.0, 1.0].into()
    );
    for bad in [2, -3] {
        let error = f
            .call((x.clone(), [0, bad].into()))
            .expect_err("out of range");
        assert!(
            error
                .to_string()
                .contains("is out of range for an axis of length 2"),
            "{error}"
        );
        let place = error.location().map(|l| l.to_string()).unwrap_or_default();
        assert!(place.starts_with(file!()), "{error}");
    }
    let error = Tensor::from([1.0])
        .take(1, 0)
        .to_array()
        .expect_err("out of range")
        .to_string();
    assert!(
        error.starts_with(file!()) && error.contains("index 1 is out of range"),
        "{error}"
    );
    for bad in [1, -2] {
        let error = Tensor::from([1.0])
            .put_along_axis([bad], 0.0, 0)
            .to_array()
            .expect_err("out of range")
            .to_string();
        assert!(error.starts_with(file!()), "{error}");
    }
    // A label is never counted from the end.
    let loss = Tensor::from([[0.0, 1.0]]).cross_entropy([-1], 1);
    assert!(loss.to_array().is_err());
}

#[test]
fn sizes_beyond_memory_are_errors() {
    let huge = usize::MAX / 2;
    let x = Tensor::ones([2, 3], DType::F64);
    let bad: Vec<(&str, Tensor)> = vec![
        ("zeros", Tensor::zeros([huge, 8], DType::F64)),
        ("broadcast_to", x.broadcast_to([huge, 2, 3])),
        ("tile", x.tile([huge, huge])),
        ("repeat", x.repeat(huge, 0)),
        ("pad", x.pad([(huge, 0), (0, 0)], PadMode::ZERO)),
        (
            "pad by the edge",
            x.pad([(huge / 4, 0), (0, 0)], PadMode::Edge),
        ),
        ("arange", Tensor::arange(huge, DType::F64)),
        (
            "arange_step",
            Tensor::arange_step(0.0, 1e30, 1.0, DType::F64),
        ),
        ("eye", Tensor::eye(huge, DType::F64)),
        ("one_hot", Tensor::from([0]).one_hot(huge, DType::F64)),
        ("diag", Tensor::from([0.0]).diag(i64::MIN)),
        ("uniform", uniform(&Key::new(0), [huge, 4], DType::F64)),
        ("normal", normal(&Key::new(0), [huge, huge], DType::F64)),
        (
            "kron",
            Tensor::zeros([huge >> 4], DType::U8).kron(&Tensor::zeros([huge], DType::U8)),
        ),
        ("windows", x.windows(1, huge, 1)),
        ("roll", x.roll(i64::MIN, 1).reshape([huge])),
        ("split", x.split(&[huge, huge, 5], 1).remove(0)),
    ];
    for (name, tensor) in bad {
        assert!(tensor.to_array().is_err(), "{name}");
    }
}

#[test]
fn wrong_arguments_of_functions_are_errors() -> Result<(), Error> {
    let f = Function::new(|x: &Vec<Tensor>| x.iter().skip(1).fold(x[0].clone(), |a, b| a + b));
    assert_eq!(f.call((vec![1.0.into(), 2.0.into()],))?, 3.0.into());
    let pair = (vec![1.0.into(), 2.0.into()],);
    let text = "expected trees of one structure, but at `0` one has list of 2 parts, the other \
                list of 1 parts";
    let error = f
        .jvp()
        .call((pair.clone(), (vec![1.0.into()],)))
        .expect_err("one tangent");
    // The line is that of `jvp`.
    let at = error.location().map(|l| l.to_string()).unwrap_or_default();
    assert!(at.starts_with(concat!(file!(), ":")), "{error}");
    assert_eq!(error.to_string(), format!("{at}: {text}"));
    let error = f
        .vjp()
        .call((pair, [1.0].into()))
        .expect_err("a vector for a scalar");
    assert!(
        error
            .to_string()
            .ends_with(": expected cotangents of the types of the result: at `` f64, found f64[1]"),
        "{error}"
    );
    // No argument with a derivative.
    let g = Function::new(|n: &Tensor| n.convert(DType::F64) * 2.0);
    assert_eq!(g.grad().call((3.into(),))?, 0.into());
    assert!(g.jvp().call(((3.into(),), (1.into(),))).is_err());
    Ok(())
}
